#!/usr/bin/env bash
# Starts the programs for Windows under Wine: the command line with its exit statuses, the whole demo, the window with an
# installation from a drive, and what a person sees where there is no window. It is a first look, no proof: Wine is not
# Windows. Pictures are kept in dist/wine/. Needs: bash scripts/setup-window.sh wine
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/lib/wine
for tool in wine64 x86_64-w64-mingw32-gcc Xvfb openbox xdotool import; do
	command -v $tool >/dev/null || { echo "wine: $tool is missing: bash scripts/setup-window.sh wine"; exit 1; }
done
for exe in sluice sluice-start sluice-window; do
	[ -f bin/$exe.exe ] || { echo "wine: bin/$exe.exe is missing: make windows"; exit 1; }
done
WORK=$(mktemp -d)
SHOTS=$PWD/dist/wine
rm -rf "$SHOTS"
. scripts/window.sh
export WINEPREFIX=$WORK/prefix WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml="
finish() {
	wineserver -k 2>/dev/null || true
	display_down
	chmod -R u+w "$WORK"
	rm -rf "$WORK"
}
trap finish EXIT
passed=0
ok() { passed=$((passed + 1)); echo "  ok: $*"; }

# What Wine 8, that of Debian 12, lacks for programs made with Go 1.26; test only, never shipped. Real Windows has both:
# ProcessPrng, and "delete with POSIX semantics", for which Wine gives an answer that Go does not expect, where Windows
# versions without it say that they do not know it (then Go takes the older way).
cat >"$WORK/standin.c" <<'C'
#include <windows.h>
#include <string.h>

BOOLEAN NTAPI SystemFunction036(PVOID, ULONG); /* RtlGenRandom, in advapi32 */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T n) { return SystemFunction036(data, (ULONG)n); }

typedef LONG(NTAPI *set_info)(HANDLE, void *, void *, ULONG, int);
static set_info original;

static LONG NTAPI set(HANDLE h, void *io, void *info, ULONG n, int class) {
	return class == 64 ? (LONG)0xC0000003 : original(h, io, info, n, class); /* STATUS_INVALID_INFO_CLASS */
}

/* The entry of Wine's NtSetInformationFile, 32 bytes without relative addresses, is kept aside and then jumps to set. */
BOOL WINAPI DllMain(HINSTANCE self, DWORD why, void *reserved) {
	static const BYTE expected[4] = {0x4C, 0x8B, 0xD1, 0xB8};
	BYTE *at = (BYTE *)(void *)GetProcAddress(GetModuleHandleA("ntdll.dll"), "NtSetInformationFile");
	BYTE jump[12] = {0x48, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xE0};
	BYTE *copy;
	void *to = (void *)set;
	DWORD old;
	if (why != DLL_PROCESS_ATTACH || !at || memcmp(at, expected, sizeof expected)) return TRUE;
	copy = VirtualAlloc(NULL, 64, MEM_COMMIT | MEM_RESERVE, PAGE_EXECUTE_READWRITE);
	memcpy(copy, at, 32);
	original = (set_info)(void *)copy;
	memcpy(jump + 2, &to, sizeof to);
	VirtualProtect(at, 32, PAGE_EXECUTE_READWRITE, &old);
	memcpy(at, jump, sizeof jump);
	VirtualProtect(at, 32, old, &old);
	return TRUE;
}
C
echo "wine: $(wine64 --version), Go's programs of $(date -u -r bin/sluice.exe +%F)"
display_up 1280 800
wine64 wineboot -i >/dev/null 2>&1
x86_64-w64-mingw32-gcc -O1 -shared -s -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" "$WORK/standin.c" -ladvapi32
# A stick is drive E:, of the removable kind; the home folder of the user is in the prefix.
STICK=$WORK/stick APP="$WINEPREFIX/drive_c/Sluice"
mkdir -p "$STICK" "$APP"
ln -s "$STICK" "$WINEPREFIX/dosdevices/e:"
wine64 reg add 'HKLM\Software\Wine\Drives' /v e: /d floppy /f >/dev/null 2>&1
cp bin/sluice.exe bin/sluice-start.exe "$APP"

sluice() { wine64 'C:\Sluice\sluice.exe' "$@" 2>"$WORK/err"; }
# want STATUS VERB…: the exit status is part of the contract.
want() {
	local status=$1 got=0
	shift
	sluice "$@" >"$WORK/out" || got=$?
	[ $got = "$status" ] || { cat "$WORK/out" "$WORK/err"; fail "\"sluice $*\" exits with $got, want $status"; }
	ok "sluice $* (exit status $status)"
}

echo "wine: the command line"
want 0 --version
want 0 help
want 2 frobnicate
want 0 keys generate --out 'C:\keys' --name oem-root --no-passphrase
want 0 keys generate --out 'C:\keys' --name release --no-passphrase
want 0 trust create --of oem --key 'C:\keys\oem-root.key' --target 'C:\keys\release.pub' --out 'E:\oem.1.root.json' --json
fp=$(sed 's/"fingerprint":"\([^"]*\)".*/|\1/; s/.*|//' "$WORK/out")
cp -r assets/demo "$WINEPREFIX/drive_c/source"
want 0 build --spec 'C:\source\bundle.yaml' --key 'C:\keys\release.key' --out 'E:\'
bundle=$(basename "$STICK"/*.tar.zst)
want 0 verify "E:\\$bundle" --pubkey 'C:\keys\release.pub'
cp "$STICK/$bundle" "$WINEPREFIX/drive_c/bad.tar.zst"
printf x | dd of="$WINEPREFIX/drive_c/bad.tar.zst" bs=1 seek=20000 conv=notrunc status=none
want 3 verify 'C:\bad.tar.zst' --pubkey 'C:\keys\release.pub'
BOT_CORE_REQUIRE_OEM_MODELS=1 want 4 check --root 'C:\nothing'
want 0 probe
want 0 demo --dir 'C:\demo'
want 0 check --stage live --root 'C:\demo\root'
cp "$WINEPREFIX"/drive_c/demo/root/ai_models/bundles/*/artifacts/models/market-regime-int8.onnx "$WORK/model"
printf x | dd of="$(ls "$WINEPREFIX"/drive_c/demo/root/ai_models/bundles/*/artifacts/models/market-regime-int8.onnx)" bs=1 seek=3000 conv=notrunc status=none 2>/dev/null || true
cmp -s "$WORK/model" "$WINEPREFIX"/drive_c/demo/root/ai_models/bundles/*/artifacts/models/market-regime-int8.onnx || want 3 check --stage live --root 'C:\demo\root'
want 0 trust init --of oem --from 'E:\oem.1.root.json' --fingerprint "$fp" --root 'C:\bot'

# box NAME: the double-clicked program has no console: what it has to say is a message box.
box() {
	wine64 start /wait 'C:\Sluice\sluice-start.exe' --root 'C:\bot' >"$WORK/window.out" 2>"$WORK/window.err" </dev/null &
	APP_PID=$!
	for _ in $(seq 100); do
		WIN=$(xdotool search --onlyvisible --name '^Sluice$' 2>/dev/null | tail -n 1) || true
		[ -z "$WIN" ] || break
		sleep 0.3
	done
	[ -n "$WIN" ] || fail "no message box"
	sleep 1
	shot "$1"
	xdotool windowactivate --sync "$WIN" key Return
	for _ in $(seq 50); do kill -0 "$APP_PID" 2>/dev/null || break; sleep 0.2; done
	if kill -0 "$APP_PID" 2>/dev/null; then fail "the message box stays"; fi
	WIN=""
	ok "a message box: $1"
}

echo "wine: the window"
box without-the-windows-program
cp bin/sluice-window.exe "$APP"
window_up wine64 'C:\Sluice\sluice-start.exe' --root 'C:\bot' --lang en
ok "the window is painted after $PAINTED_MS ms"
shot start
before=$(import -window "$WIN" -depth 8 rgb:- | sha256sum)
xdotool key ctrl+e
sleep 1.5
[ "$before" != "$(import -window "$WIN" -depth 8 rgb:- | sha256sum)" ] || fail "Ctrl+E changes nothing"
shot polish
ok "Ctrl+E changes the language"
for _ in $(seq 80); do # the primary button of one page after the other, until the version is there
	compgen -G "$WINEPREFIX/drive_c/bot/ai_models/bundles/v*" >/dev/null && break
	xdotool key ctrl+Return
	sleep 1
done
compgen -G "$WINEPREFIX/drive_c/bot/ai_models/bundles/v*" >/dev/null || fail "the window installs nothing"
sleep 2
shot installed
ok "the window installs from drive E:"
for _ in $(seq 40); do
	sluice status --root 'C:\bot' --json 2>/dev/null | grep -q '"demo":{[^}]*"version"' && break
	xdotool key ctrl+Return
	sleep 1
done
sleep 1
shot tested
sluice status --root 'C:\bot' --json >"$WORK/out" || true
grep -q '"demo":{[^}]*"version"' "$WORK/out" || { cat "$WORK/out"; fail "the window's model test leaves no trace"; }
ok "the window tests the model in a child process"
xdotool windowactivate --sync "$WIN" key alt+F4
for _ in $(seq 50); do kill -0 "$APP_PID" 2>/dev/null || break; sleep 0.2; done
if kill -0 "$APP_PID" 2>/dev/null; then fail "the window does not close"; fi
WIN=""
ok "it closes"

echo "wine: no OpenGL"
wineserver -k || true
display_down
display_up 1280 800 -extension GLX
box without-opengl
echo "wine: $passed checks passed; pictures in dist/wine/"

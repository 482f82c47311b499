#!/usr/bin/env bash
# Figures of docs/performance.md, section Window: how soon the window is there, and how soon it answers while it copies 1 GiB.
# On a display without a screen (Xvfb, software rendering), warm cache. SIZE_MIB makes the bundle smaller, RUNS changes how
# often the start is measured, INSTALLS how often the bundle is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
SLUICE=${SLUICE:-$PWD/bin/sluice}
mib=${SIZE_MIB:-1024} runs=${RUNS:-9} installs=${INSTALLS:-5}
for tool in Xvfb openbox xdotool import python3; do
	command -v $tool >/dev/null || { echo "bench-window: $tool is missing: bash scripts/setup-window.sh"; exit 1; }
done
WORK=$(mktemp -d)
STICK=/media/sluice-bench-$$
SHOTS=$PWD/dist/bench-window
. scripts/window.sh
finish() {
	display_down
	if mountpoint -q "$STICK" 2>/dev/null; then umount "$STICK"; fi
	rmdir "$STICK" 2>/dev/null || true
	chmod -R u+w "$WORK"
	rm -rf "$WORK"
}
trap finish EXIT

display_up 1280 800
printf %s "{\"theme\":\"light\"}" >"$XDG_CONFIG_HOME/fyne/dev.sluice.installer/preferences.json" # with motion, as people have it
echo "bench-window: $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg) before, Xvfb 1280x800, LIBGL_ALWAYS_SOFTWARE=1"
python3 scripts/bench-window.py start 2 "$SLUICE" --root "$WORK/none" >/dev/null # warms caches
first=$(python3 scripts/bench-window.py start "$runs" "$SLUICE" --root "$WORK/none")

# A bundle whose preferred variant is all of it, on a stick: a file system of its own on a loop device.
busy='{"ms":[],"lost":0}' idle=$busy
if [ "$(id -u)" = 0 ] && command -v mkfs.ext4 >/dev/null; then
	go run ./internal/benchdata -out "$WORK/src" -mib "$mib"
	sed -i 's/{id: whole, priority: 1,/{id: whole, priority: 999,/' "$WORK/src/bundle.yaml"
	q="--quiet --progress none"
	for k in oem-root release; do "$SLUICE" keys generate --out "$WORK/keys" --name $k --no-passphrase $q; done
	fp=$("$SLUICE" trust create --of oem --key "$WORK/keys/oem-root.key" --target "$WORK/keys/release.pub" --out "$WORK/1.root.json" --json | sed 's/"fingerprint":"\([^"]*\)".*/|\1/; s/.*|//')
	"$SLUICE" build --spec "$WORK/src/bundle.yaml" --key "$WORK/keys/release.key" --out "$WORK" $q
	rm -rf "$WORK/src"
	truncate -s $((mib * 5 / 4 + 64))M "$WORK/stick.img"
	mkfs.ext4 -q -F "$WORK/stick.img"
	mkdir -p "$STICK"
	if mount -o loop "$WORK/stick.img" "$STICK"; then
		mv "$WORK"/*.tar.zst "$STICK"
		sync
		all=""
		for i in $(seq "$installs"); do
			root=$WORK/root$i
			"$SLUICE" trust init --of oem --from "$WORK/1.root.json" --fingerprint "$fp" --root "$root" $q
			cat "$STICK"/*.tar.zst >/dev/null
			window_up "$SLUICE" --root "$root" --lang en
			[ "$i" != 1 ] || idle=$(python3 scripts/bench-window.py input 10)
			for _ in $(seq 120); do # the primary button of one page after the other, until it copies
				compgen -G "$root/.staging/*.partial" >/dev/null && break
				xdotool key ctrl+Return
				sleep 0.5
			done
			compgen -G "$root/.staging/*.partial" >/dev/null || fail "the window does not copy"
			[ "$i" != 1 ] || shot copying
			all="$all $(python3 scripts/bench-window.py input 120 "$root/.staging/*.partial")"
			[ "$i" != 1 ] || shot copied
			window_down
			chmod -R u+w "$root"
			rm -rf "$root"
		done
		busy=$all
	else
		echo "bench-window: no loop device here: input while copying is not measured"
	fi
else
	echo "bench-window: needs root to mount a stick: input while copying is not measured"
fi
echo "bench-window: load $(cut -d' ' -f1 /proc/loadavg) after"
python3 - "$first" "$idle" "$mib" "$installs" $busy <<'PY'
import json, sys
def q(v, p):
    v = sorted(v)
    return v[min(len(v) - 1, int(len(v) * p))] if v else float("nan")
first, idle, mib, installs = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3], sys.argv[4]
text = " ".join(sys.argv[5:])
ms, lost, at, d = [], 0, 0, json.JSONDecoder()
while at < len(text):
    v, at = d.raw_decode(text, at)
    ms += v["ms"]; lost += v["lost"]
    while at < len(text) and text[at] == " ": at += 1
print("\n| what | median | 95th percentile | worst | measured |\n|---|---|---|---|---|")
def row(what, v, how): print(f"| {what} | {q(v,.5):.0f} ms | {q(v,.95):.0f} ms | {max(v, default=float('nan')):.0f} ms | {how} |")
row("`sluice` started until its window is painted", first, f"{len(first)} starts")
row("a key until the window answers, nothing going on", idle["ms"], f"{len(idle['ms'])} keys, {idle['lost']} without an answer within 2 s")
row(f"the same while it copies {mib} MiB", ms, f"{len(ms)} keys in {installs} installations, {lost} without an answer within 2 s")
if ms: print(f"\n{100*sum(t<150 for t in ms)/(len(ms)+lost):.0f} % of the answers while copying came within 150 ms.")
PY

#!/usr/bin/env bash
# What keeps the window from opening, with the real programs: no display, a display that is gone, no OpenGL, a missing
# library, a crash at start, silence. Each must end by itself with a plain message, its code and the command line's words.
set -euo pipefail
cd "$(dirname "$0")/.."
WORK=$(mktemp -d)
. scripts/window.sh
export LANG=C.UTF-8
trap 'display_down; rm -rf "$WORK"' EXIT
mkdir -p "$WORK/bin"
cp bin/sluice bin/sluice-window "$WORK/bin/"

# refused NAME CODE SECONDS COMMAND…
refused() {
	local name=$1 code=$2 limit=$3 rc=0 began
	shift 3
	began=$(date +%s)
	TMPDIR=$WORK timeout "$limit" "$@" >"$WORK/out" 2>&1 || rc=$?
	[ "$rc" != 124 ] || fail "$name: still waiting after $limit seconds"
	[ "$rc" != 0 ] || fail "$name: exit 0"
	grep -q "$code" "$WORK/out" || fail "$name: want $code, got: $(cat "$WORK/out")"
	tr -s " \n" " " <"$WORK/out" | grep -q "sluice status" || fail "$name: the command line is not named: $(cat "$WORK/out")"
	! grep -qE 'goroutine|panic:|SIG[A-Z]+:|\.go:[0-9]+' "$WORK/out" || fail "$name: a stack trace: $(cat "$WORK/out")"
	echo "launch: $name: $code after $(($(date +%s) - began)) s"
}

S=$WORK/bin/sluice
refused "no display" E-WINDOW-DISPLAY 90 env -u DISPLAY -u WAYLAND_DISPLAY "$S" --root "$WORK/root"
refused "a display that is gone" E-WINDOW-DISPLAY 90 env DISPLAY=:4711 "$S" --root "$WORK/root"
display_up 1100 720 -extension GLX
refused "no OpenGL" E-WINDOW-OPENGL 90 "$S" --root "$WORK/root"
display_down
display_up 1100 720
W=$WORK/bin/sluice-window
sed 's/libGL\.so\.1/libQQ.so.1/g' bin/sluice-window >"$W"
refused "a missing library" E-WINDOW-LIBRARY 90 "$S" --root "$WORK/root"
cp bin/sluice-window "$W"
refused "not executable" E-WINDOW-MISSING 90 bash -c "chmod -x $W; $S --root $WORK/root"
rm -f "$W"
refused "no window program" E-WINDOW-MISSING 90 "$S" --root "$WORK/root"
cp bin/sluice "$W"
refused "another program in its place" E-WINDOW-MISSING 90 "$S" --root "$WORK/root"
rm -f "$W"
printf '#!/bin/sh\necho "panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/x/main.go:1" >&2\nexit 2\n' >"$W"
chmod +x "$W"
refused "a crash at start" E-WINDOW-CRASH 90 "$S" --root "$WORK/root"
printf '#!/bin/sh\nexec sleep 600\n' >"$W"
refused "silence" E-WINDOW-SILENT 120 "$S" --root "$WORK/root"
cp bin/sluice-window "$W"
chmod +x "$W"
# A window that dies while it is open, by the kernel's hand.
window_up "$S" --root "$WORK/root"
kill -SEGV "$(pgrep -P "$APP_PID" -x sluice-window)"
rc=0
wait "$APP_PID" || rc=$?
APP_PID="" WIN=""
grep -q E-WINDOW-CRASH "$WORK/window.err" || fail "a window that dies: $(cat "$WORK/window.err")"
! grep -q goroutine "$WORK/window.err" || fail "a window that dies: a stack trace"
echo "launch: a window that dies: E-WINDOW-CRASH, exit $rc"

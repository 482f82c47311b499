# Functions for scripts that use the real window on a display of their own; sourced, not run.
# Needs Xvfb, openbox, xdotool and ImageMagick: scripts/setup-window.sh.

WIN=""        # id of the window
APP_PID=""    # of the launcher
SHOTS="${SHOTS:-}" # folder for pictures
STEP=0

fail() {
	echo "FAILED: $*" >&2
	[ -z "$WIN" ] || shot failed || true
	exit 1
}

# display_up WIDTH HEIGHT [Xvfb options]: starts a display with a window manager and exports DISPLAY.
display_up() {
	local size="$1x$2"
	shift 2
	local n
	n=$(mktemp)
	Xvfb -displayfd 3 -screen 0 "${size}x24" -nolisten tcp "$@" 3>"$n" >/dev/null 2>&1 &
	XVFB_PID=$!
	for _ in $(seq 100); do [ -s "$n" ] && break; sleep 0.1; done
	[ -s "$n" ] || fail "Xvfb did not start"
	DISPLAY=":$(tr -d '\n' <"$n")"
	export DISPLAY
	rm -f "$n"
	openbox >/dev/null 2>&1 &
	OPENBOX_PID=$!
	# A session of its own: no settings of whoever runs this.
	export XDG_CONFIG_HOME="$WORK/config" XDG_CACHE_HOME="$WORK/cache" LIBGL_ALWAYS_SOFTWARE=1 NO_AT_BRIDGE=1
	mkdir -p "$XDG_CONFIG_HOME/fyne/dev.sluice.installer" "$XDG_CACHE_HOME"
	printf %s "{\"theme\":\"${THEME:-light}\",\"still\":true}" >"$XDG_CONFIG_HOME/fyne/dev.sluice.installer/preferences.json"
	unset WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS || true
}

display_down() {
	[ -z "${APP_PID:-}" ] || kill "$APP_PID" 2>/dev/null || true
	[ -z "${OPENBOX_PID:-}" ] || kill "$OPENBOX_PID" 2>/dev/null || true
	[ -z "${XVFB_PID:-}" ] || kill "$XVFB_PID" 2>/dev/null || true
	wait 2>/dev/null || true
}

colours() { import -window "$1" -format %k info: 2>/dev/null || echo 0; }

# window_up COMMAND…: starts the program and waits until something is painted; prints the milliseconds.
window_up() {
	local began now
	began=$(date +%s%3N)
	"$@" >"$WORK/window.out" 2>"$WORK/window.err" &
	APP_PID=$!
	WIN=""
	for _ in $(seq 300); do
		WIN=$(xdotool search --onlyvisible --name '^Sluice' 2>/dev/null | tail -n 1) || true
		if [ -n "$WIN" ] && [ "$(colours "$WIN")" -gt 20 ]; then
			now=$(date +%s%3N)
			PAINTED_MS=$((now - began))
			xdotool windowsize --sync "$WIN" "${WIDTH:-1100}" "${HEIGHT:-720}" windowmove "$WIN" 20 20 windowactivate --sync "$WIN" 2>/dev/null || true
			sleep 0.4
			return 0
		fi
		kill -0 "$APP_PID" 2>/dev/null || { cat "$WORK/window.err" >&2; fail "the window's program ended"; }
		sleep 0.1
	done
	cat "$WORK/window.err" >&2
	fail "no window within 30 seconds"
}

window_down() {
	[ -n "$WIN" ] && xdotool windowquit "$WIN" 2>/dev/null || true
	for _ in $(seq 50); do kill -0 "$APP_PID" 2>/dev/null || break; sleep 0.1; done
	kill "$APP_PID" 2>/dev/null || true
	wait "$APP_PID" 2>/dev/null || true
	APP_PID="" WIN=""
}

click() { xdotool mousemove --window "$WIN" "$1" "$2" sleep 0.05 click 1; sleep "${3:-0.35}"; }
press() { xdotool key --window "$WIN" --delay 40 "$@"; sleep 0.3; }
write() { xdotool type --window "$WIN" --delay 12 -- "$1"; sleep 0.3; }
primary() { click $((${WIDTH:-1100} - 90)) $((${HEIGHT:-720} - 34)) "${1:-0.5}"; }

# shot NAME: keeps a picture of the window.
shot() {
	STEP=$((STEP + 1))
	mkdir -p "$SHOTS"
	import -window "$WIN" "$SHOTS/$(printf '%02d' $STEP)-$1.png"
}

# at TITLE: waits until the page has a title that begins so; pages name themselves in the window's title.
at() {
	local name=""
	for _ in $(seq 120); do
		name=$(xdotool getwindowname "$WIN" 2>/dev/null) || true
		case $name in "Sluice · $1"*) sleep 0.8; return ;; esac # the title comes before the paint
		sleep 0.25
	done
	fail "the page is \"$name\", want \"$1\""
}

# until_ok SECONDS COMMAND…: waits until a command succeeds.
until_ok() {
	local end=$(($(date +%s) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$end" ] || fail "waited in vain for: $*"
		sleep 0.3
	done
}

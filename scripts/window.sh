# Functions for scripts that use the real window on a display of their own; sourced, not run.
# Needs Xvfb, openbox, xdotool and ImageMagick: scripts/setup-window.sh. Whatever the window does is waited for, with a
# limit that also a busy machine keeps: nothing here relies on how long a thing takes.

WIN=""        # id of the window
APP_PID=""    # of the launcher
SHOTS="${SHOTS:-}" # folder for pictures
STEP=0
PATIENCE=${PATIENCE:-120} # seconds until a wait has failed

fail() {
	echo "FAILED: $*" >&2
	[ -z "$WIN" ] || shot failed || true
	exit 1
}

# own_mounts ARGUMENTS…: runs the script again where its mounts are its own, if the machine allows: it does not see the
# sticks of others, and its own are gone with it, whatever ends it.
own_mounts() {
	[ -z "${SLUICE_OWN_MOUNTS:-}" ] || return 0
	if [ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null; then
		SLUICE_OWN_MOUNTS=yes exec unshare --mount --propagation private bash "$0" "$@"
	fi
}
if [ -n "${SLUICE_OWN_MOUNTS:-}" ]; then
	for at in $(awk '$2 ~ "^/(run/)?media/" {print $2}' /proc/self/mounts); do umount -l "$at" || true; done
fi

# waits SECONDS COMMAND…: until the command succeeds; false when the time is over.
waits() {
	local end=$(($(date +%s) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$end" ] || return 1
		sleep 0.15
	done
}

# display_up WIDTH HEIGHT [Xvfb options]: starts a display with a window manager and exports DISPLAY.
display_up() {
	local size="$1x$2"
	shift 2
	local n
	n=$(mktemp)
	Xvfb -displayfd 3 -screen 0 "${size}x24" -nolisten tcp "$@" 3>"$n" >/dev/null 2>&1 &
	XVFB_PID=$!
	waits 60 test -s "$n" || fail "Xvfb did not start"
	DISPLAY=":$(tr -d '\n' <"$n")"
	export DISPLAY
	rm -f "$n"
	openbox >/dev/null 2>&1 &
	OPENBOX_PID=$!
	waits 60 managed || fail "the window manager did not start"
	# A session of its own: no settings of whoever runs this.
	export XDG_CONFIG_HOME="$WORK/config" XDG_CACHE_HOME="$WORK/cache" LIBGL_ALWAYS_SOFTWARE=1 NO_AT_BRIDGE=1
	mkdir -p "$XDG_CONFIG_HOME/fyne/dev.sluice.installer" "$XDG_CACHE_HOME"
	printf %s "{\"theme\":\"${THEME:-light}\",\"scale\":${SCALE:-1},\"still\":true}" >"$XDG_CONFIG_HOME/fyne/dev.sluice.installer/preferences.json"
	unset WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS || true
}

managed() { xdotool get_num_desktops; } # only a window manager tells

display_down() {
	[ -z "${APP_PID:-}" ] || kill "$APP_PID" 2>/dev/null || true
	[ -z "${OPENBOX_PID:-}" ] || kill "$OPENBOX_PID" 2>/dev/null || true
	[ -z "${XVFB_PID:-}" ] || kill "$XVFB_PID" 2>/dev/null || true
	wait 2>/dev/null || true
	APP_PID="" OPENBOX_PID="" XVFB_PID=""
}

colours() { import -window "$1" -format %k info: 2>/dev/null || echo 0; }

# window_up COMMAND…: starts the program and waits until something is painted; PAINTED_MS is how long that took.
window_up() {
	local began size
	began=$(date +%s%3N)
	"$@" >"$WORK/window.out" 2>"$WORK/window.err" &
	APP_PID=$!
	WIN=""
	local end=$(($(date +%s) + PATIENCE))
	until WIN=$(xdotool search --onlyvisible --name '^Sluice' 2>/dev/null | tail -n 1) && [ -n "$WIN" ] && [ "$(colours "$WIN")" -gt 20 ]; do
		kill -0 "$APP_PID" 2>/dev/null || { cat "$WORK/window.err" >&2; fail "the window's program ended"; }
		[ "$(date +%s)" -lt "$end" ] || { cat "$WORK/window.err" >&2; fail "no window within $PATIENCE seconds"; }
		sleep 0.1
	done
	PAINTED_MS=$(($(date +%s%3N) - began))
	size="WIDTH=${WIDTH:-1100} HEIGHT=${HEIGHT:-720}"
	xdotool windowsize "$WIN" "${WIDTH:-1100}" "${HEIGHT:-720}" windowmove "$WIN" 20 20 windowactivate "$WIN" 2>/dev/null || true
	waits 20 sized "$size" || fail "the window does not take its size"
	waits 20 focused || true
	still
}

sized() { [ "$(xdotool getwindowgeometry --shell "$WIN" | sed -n '/^WIDTH\|^HEIGHT/p' | tr '\n' ' ')" = "$1 " ]; }
focused() { [ "$(xdotool getwindowfocus)" = "$WIN" ]; }

window_down() {
	[ -n "$WIN" ] && xdotool windowquit "$WIN" 2>/dev/null || true
	waits 4 gone || true # it is ended below where it asks whether to close
	kill "$APP_PID" 2>/dev/null || true
	wait "$APP_PID" 2>/dev/null || true
	APP_PID="" WIN=""
}
gone() { ! kill -0 "$APP_PID"; }

# picture: a number that stands for what the window shows; the caret of a text field counts, so it is no proof of change.
picture() { import -window "$WIN" rgba:- 2>/dev/null | cksum; }

# still: waits until the window has looked the same for a moment, two seconds at most where a caret blinks.
still() {
	local was now
	was=$(picture)
	for _ in 1 2 3 4 5 6; do
		sleep 0.25
		now=$(picture)
		[ "$now" != "$was" ] || return 0
		was=$now
	done
}

# What is sent while the window is busy waits in its queue, in order.
click() { xdotool mousemove --window "$WIN" "$1" "$2" sleep 0.05 click 1; sleep 0.2; }
press() { xdotool key --window "$WIN" --delay 40 "$@"; sleep 0.2; }
write() { xdotool type --window "$WIN" --delay 12 -- "$1"; sleep 0.2; }

# primary: presses the one primary button as soon as it can be pressed: it is filled with the accent colour then.
primary() {
	waits "$PATIENCE" primary_on || fail "the primary button stays off on \"$(name)\""
	click $((${WIDTH:-1100} - 90)) $((${HEIGHT:-720} - 34))
}
primary_on() {
	local dot
	dot=$(import -window "$WIN" -crop 1x1+$((${WIDTH:-1100} - 60))+$((${HEIGHT:-720} - 20)) -depth 8 rgb:- | od -An -tx1 | tr -d ' \n')
	case $dot in 0f5fa6 | 5aa9f0 | ffe600) return 0 ;; esac # light, dark, high contrast
	return 1
}

# shot NAME: keeps a picture of the window.
shot() {
	STEP=$((STEP + 1))
	[ -n "$SHOTS" ] || return 0
	mkdir -p "$SHOTS"
	import -window "$WIN" "$SHOTS/$(printf '%02d' $STEP)-$1.png"
}

name() { xdotool getwindowname "$WIN" 2>/dev/null; }

# at TITLE: waits until the page has a title that begins so, and nothing is at work any more, and it is painted: pages
# name themselves in the window's title, with dots while they work.
at() {
	waits "$PATIENCE" arrived "$1" || fail "the page is \"$(name)\", want \"$1\""
	still
}
arrived() {
	case $(name) in *" …") return 1 ;; "Sluice · $1"*) return 0 ;; esac
	return 1
}

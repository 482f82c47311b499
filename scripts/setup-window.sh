#!/usr/bin/env bash
# Installs on Debian 12 what the window needs beside Go: to build it, to run it on a display without a screen, and to use it
# with real clicks. Arguments add more: "windows" the compiler for sluice-window.exe, "wine" that and Wine to start it with.
# Installed already: nothing is done. Without root it says what is missing.
set -euo pipefail
build="gcc libc6-dev pkg-config libgl-dev libx11-dev libxcursor-dev libxrandr-dev libxinerama-dev libxi-dev libxxf86vm-dev"
display="xvfb xauth xdotool imagemagick openbox libgl1 libgl1-mesa-dri libxtst6 python3 e2fsprogs mount util-linux"
want="make git $build $display"
for extra in "$@"; do
	case $extra in
	windows) want="$want gcc-mingw-w64-x86-64" ;;
	wine) want="$want gcc-mingw-w64-x86-64 wine64" ;;
	*)
		echo "setup-window: unknown argument \"$extra\", want windows or wine" >&2
		exit 2
		;;
	esac
done
if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "setup-window: this is no Debian; please install what these packages hold: $want"
	exit 1
fi
need=""
for p in $want; do
	[ "$(dpkg-query -W -f '${Status}' "$p" 2>/dev/null)" = "install ok installed" ] || case " $need " in *" $p "*) ;; *) need="$need $p" ;; esac
done
if [ -z "$need" ]; then
	echo "setup-window: nothing to install"
	exit 0
fi
if [ "$(id -u)" != 0 ]; then
	echo "setup-window: please install as root: apt-get install$need"
	exit 1
fi
apt-get update -qq
# shellcheck disable=SC2086 # a list of names
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $need >/dev/null
echo "setup-window: installed$need"

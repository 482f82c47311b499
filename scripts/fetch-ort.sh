#!/bin/sh
# Fetches ONNX Runtime's library from the npm package onnxruntime-node into .cache/ort/<version>/<os>-<arch>/ and prints its
# path. The package is only unpacked: none of its scripts run. The library is kept only when its SHA-384 is the one pinned in
# assets/engines.json.
#
#   scripts/fetch-ort.sh [version [os arch]]     os and arch as Go names them; this machine's by default
set -eu
cd "$(dirname "$0")/.."

version=${1:-1.30.0}
os=${2:-$(uname -s | tr '[:upper:]' '[:lower:]')}
arch=${3:-$(uname -m | sed -e 's/^x86_64$/amd64/' -e 's/^aarch64$/arm64/')}

# engines.json holds one engine a line.
line=$(grep -F "\"version\": \"$version\", \"os\": \"$os\", \"arch\": \"$arch\"" assets/engines.json) || {
	echo "fetch-ort: no pinned build of ONNX Runtime $version for $os/$arch in assets/engines.json" >&2
	exit 1
}
field() { printf '%s\n' "$line" | sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p"; }
file=$(field file)
want=$(field sha384)
inside=$(field source)
inside=${inside##*, }

digest() {
	if command -v sha384sum >/dev/null 2>&1; then sha384sum "$1"; else shasum -a 384 "$1"; fi | cut -d' ' -f1
}

dir=.cache/ort/$version/$os-$arch
if [ -f "$dir/$file" ] && [ "$(digest "$dir/$file")" = "$want" ]; then
	printf '%s\n' "$PWD/$dir/$file"
	exit 0
fi

command -v npm >/dev/null 2>&1 || {
	echo "fetch-ort: npm is missing; it is needed to fetch the package onnxruntime-node" >&2
	exit 1
}
mkdir -p .cache/ort
tmp=$(mktemp -d .cache/ort/fetch.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
(cd "$tmp" && npm pack --silent --ignore-scripts "onnxruntime-node@$version" >/dev/null)
tar -xzf "$tmp/onnxruntime-node-$version.tgz" -C "$tmp" "package/$inside"
have=$(digest "$tmp/package/$inside")
if [ "$have" != "$want" ]; then
	echo "fetch-ort: $inside of onnxruntime-node $version has SHA-384 $have, want $want: not kept" >&2
	exit 1
fi
mkdir -p "$dir"
mv "$tmp/package/$inside" "$dir/$file"
printf '%s\n' "$PWD/$dir/$file"

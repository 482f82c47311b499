#!/bin/sh
# Builds and signs the bundle of models/bundle.yaml.
#
#   build_oem_bundle.sh --key KEY [--passphrase-file F] [--spec F] [--out DIR] [--version V] [--split SIZE]
#
# --version is what the release is called: a spec that says otherwise is refused, so that no tag names other models.
# Prints the files written, one a line. Exit status: sluice's own (docs/commands.md), 2 for wrong usage.
set -eu
sluice=${SLUICE:-sluice}
spec=models/bundle.yaml out=dist key='' version='' passphrase='' split=''
usage() {
	sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
while [ $# -gt 0 ]; do
	[ $# -ge 2 ] || usage
	case $1 in
	--key) key=$2 ;;
	--passphrase-file) passphrase=$2 ;;
	--spec) spec=$2 ;;
	--out) out=$2 ;;
	--version) version=$2 ;;
	--split) split=$2 ;;
	*) usage ;;
	esac
	shift 2
done
[ -n "$key" ] || usage
[ -f "$spec" ] || {
	echo "build_oem_bundle: no spec at $spec; wanted: the bundle.yaml of the models to release" >&2
	exit 2
}
if [ -n "$version" ]; then
	said=$(sed -n 's/^version:[[:space:]]*["'\'']\{0,1\}\([^"'\''[:space:]#]*\).*/\1/p' "$spec" | head -n 1)
	if [ "$said" != "$version" ]; then
		echo "build_oem_bundle: $spec says version $said, the release is called $version: correct one of them" >&2
		exit 2
	fi
fi
mkdir -p "$out"
set -- build --spec "$spec" --key "$key" --out "$out"
[ -z "$passphrase" ] || set -- "$@" --passphrase-file "$passphrase"
[ -z "$split" ] || set -- "$@" --split "$split"
"$sluice" "$@" >&2
for f in "$out"/*-v"${version:-*}".tar.zst*; do
	[ -f "$f" ] && printf '%s\n' "$f"
done

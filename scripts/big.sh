#!/usr/bin/env bash
# A bundle of 5 GiB in three volumes over two "sticks": one volume missing, one damaged, then complete; verified and
# installed. The large file is sparse, so it needs hardly any room as a source; the installed copy may take 5 GiB.
# Usage: big.sh [SIZE [FOLDER]]; SIZE as truncate(1) reads it, 5G when left out.
set -euo pipefail
cd "$(dirname "$0")/.."
size=${1:-5G}
work=$(mktemp -d "${2:-${TMPDIR:-/tmp}}/big.XXXXXX")
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
sluice=$PWD/bin/sluice
export SOURCE_DATE_EPOCH=$(date +%s) # one time for both builds: else they differ by some bytes, and the cut has a fourth piece
say() { printf '\n== %s\n' "$*"; }
# refused STATUS CODE ARGS: the program must refuse in just this way.
refused() {
	local status=$1 code=$2 got=0
	shift 2
	"$sluice" "$@" --json --root "$work/demo/root" >"$work/answer" 2>/dev/null || got=$?
	grep -q "\"code\":\"$code\"" "$work/answer" && [ "$got" = "$status" ] || {
		echo "big: exit $got, want $status with $code: $(cat "$work/answer")" >&2
		exit 1
	}
	"$sluice" "$@" --root "$work/demo/root" 2>&1 >/dev/null | sed -n '1,3p' || true
}

say "source: the demo models and a sparse file of $size"
"$sluice" demo --dir "$work/demo" --quiet
cp -r "$work/demo/oem/src" "$work/src"
truncate -s "$size" "$work/src/metadata/history.bin"
head -c 1048576 /dev/urandom | dd of="$work/src/metadata/history.bin" conv=notrunc status=none # zeros alone would leave nothing to cut
sed -i -e 's|^version: .*|version: 2.0.0|' -e 's|^artifacts:$|artifacts:\n  - {path: artifacts/metadata/history.bin, role: metadata}|' \
	-e 's|^    artifacts: \[|&artifacts/metadata/history.bin, |' "$work/src/bundle.yaml"
ls -lsh "$work/src/metadata/history.bin"

say "built, and cut in three"
"$sluice" build --spec "$work/src/bundle.yaml" --key "$work/demo/keys/oem_model_signing.key" --out "$work/whole" --progress none
whole=$(stat -c %s "$work"/whole/*.tar.zst)
"$sluice" build --spec "$work/src/bundle.yaml" --key "$work/demo/keys/oem_model_signing.key" --out "$work/cut" --split $(((whole + 2) / 3)) --progress none
name=$(basename "$work"/whole/*.tar.zst)
mkdir -p "$work/stick1" "$work/stick2"
cp "$work/cut/$name.001" "$work/cut/$name.003" "$work/cut/$name.volumes.sig" "$work/stick1/"
cp "$work/cut/$name.002" "$work/cut/$name.volumes.sig" "$work/stick2/"
ls -l "$work/stick1" "$work/stick2"

say "stick 2 is not here: the missing volume is named"
refused 3 E-VOLUME-MISSING verify "$work/stick1/$name.001"

say "one byte on stick 2 changed: the damaged volume is named, with the place"
at=$(($(stat -c %s "$work/stick2/$name.002") / 2))
cp "$work/stick2/$name.002" "$work/sound"
printf '\377' | dd of="$work/stick2/$name.002" bs=1 seek="$at" conv=notrunc status=none
refused 3 E-VOLUME-DAMAGED install "$work/stick1/$name.001" --also "$work/stick2" --operator anna
test ! -e "$work/demo/root/ai_models/bundles/v2_0_0"
cp "$work/sound" "$work/stick2/$name.002"

say "complete: verified, installed, proven"
"$sluice" verify "$work/stick1/$name.001" --also "$work/stick2" --root "$work/demo/root" --progress none
"$sluice" install "$work/stick2/$name.002" --also "$work/stick1" --operator anna --root "$work/demo/root" --progress none
test "$(stat -c %s "$work/demo/root/ai_models/bundles/v2_0_0/artifacts/metadata/history.bin")" = "$(stat -c %s "$work/src/metadata/history.bin")"
"$sluice" check --stage demo --root "$work/demo/root"
say "done"

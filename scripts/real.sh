#!/usr/bin/env bash
# A real model that is not ours, from a public package to the gate: the silero voice-activity model through ONNX Runtime.
# Fetches both into .cache/, records golden cases, then builds, verifies, installs and smokes a bundle around it, and tampers
# with it. SKIPPED, with the reason, where npm or the network is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
sluice=$PWD/bin/sluice

if ! lib=$(sh scripts/fetch-ort.sh) || ! model=$(sh scripts/fetch-silero.sh); then
	echo "real: SKIPPED: the library or the model could not be fetched"
	exit 0
fi
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
export SLUICE_ROOT=$dir/root

say() { printf '\n== %s\n' "$*"; }
# refused STATUS WORDS COMMAND…: the command must end with exactly this status.
refused() {
	local want=$1 words=$2 got=0
	shift 2
	"$@" >"$dir/out" 2>&1 || got=$?
	if [ "$got" != "$want" ]; then
		cat "$dir/out"
		echo "real: $words: exit status $got, want $want" >&2
		exit 1
	fi
	grep -oE 'E-[A-Z-]+' "$dir/out" | head -1 | sed "s/^/refused as it must be ($words): /"
}

say "golden cases, recorded with ONNX Runtime"
go run ./internal/real -lib "$lib" -model "$model" -out "$dir/spec"

say "a bundle, signed with keys made here"
"$sluice" keys generate --out "$dir/keys" --name root --no-passphrase
"$sluice" keys generate --out "$dir/keys" --name signing --no-passphrase
"$sluice" trust create --of oem --key "$dir/keys/root.key" --target "$dir/keys/signing.pub" --out "$dir/1.root.json" --json >"$dir/root.out"
fingerprint=$(sed -n 's/.*"fingerprint": *"\([^"]*\)".*/\1/p' "$dir/root.out")
mkdir -p "$dir/dist"
"$sluice" build --spec "$dir/spec/bundle.yaml" --key "$dir/keys/signing.key" --out "$dir/dist"
bundle=$dir/dist/silero-vad-v5.0.0.tar.zst
"$sluice" build --validate "$bundle" --pubkey "$dir/keys/signing.pub" --engine-lib "$lib" --strict
"$sluice" verify "$bundle" --pubkey "$dir/keys/signing.pub"

say "installed and proven by ONNX Runtime"
"$sluice" trust init --of oem --from "$dir/1.root.json" --fingerprint "$fingerprint" --operator real
"$sluice" probe --for "$bundle" --engine-lib "$lib"
"$sluice" install "$bundle" --variant cpu-full --operator real --engine-lib "$lib"
"$sluice" smoke

say "installed and proven by the reference evaluator alone"
SLUICE_ROOT=$dir/small "$sluice" trust init --of oem --from "$dir/1.root.json" --fingerprint "$fingerprint" --operator real
SLUICE_ROOT=$dir/small "$sluice" install "$bundle" --variant cpu-any --operator real
refused 5 "a variant that needs the full runtime, without it" env SLUICE_ROOT="$dir/small" "$sluice" install "$bundle" --variant cpu-full --operator real

say "tampered with"
size=$(wc -c <"$bundle")
flip() { # FILE OFFSET: turns one bit
	local byte
	byte=$(od -An -tu1 -j"$2" -N1 "$1")
	printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
for at in 100 $((size / 3)) $((size / 2)) $((size * 9 / 10)) $((size - 5)); do
	cp "$bundle" "$dir/tampered.tar.zst"
	flip "$dir/tampered.tar.zst" "$at"
	refused 3 "byte $at of $size changed" "$sluice" verify "$dir/tampered.tar.zst" --pubkey "$dir/keys/signing.pub"
done
"$sluice" keys generate --out "$dir/keys" --name stranger --no-passphrase
refused 3 "signed by another key" "$sluice" verify "$bundle" --pubkey "$dir/keys/stranger.pub"
cp "$lib" "$dir/lib.so"
flip "$dir/lib.so" 1000000
refused 6 "one bit of the engine library changed" "$sluice" build --validate "$bundle" --pubkey "$dir/keys/signing.pub" --engine-lib "$dir/lib.so" --strict
installed=$(find "$SLUICE_ROOT/ai_models/bundles" -mindepth 1 -maxdepth 1 -type d ! -name latest | head -1)
"$sluice" verify "$installed"
chmod -R u+w "$installed"
flip "$installed/artifacts/models/silero-vad.onnx" 1000000
refused 3 "one bit of the installed model changed" "$sluice" verify "$installed"

say "done: a real model went through, and nothing tampered with did"

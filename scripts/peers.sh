#!/usr/bin/env bash
# Tools of others check what this program signs, offline: cosign the envelopes of a manifest, of volumes and of sign-offs, and refuse
# each after one change; OpenSSL a manifest's signature without any DSSE library. cosign is built from source into .cache/bin (about
# three minutes on two cores, the first time).
set -euo pipefail
cd "$(dirname "$0")/.."
cosign_version=v2.6.5
cosign=$PWD/.cache/bin/cosign-$cosign_version
if [ ! -x "$cosign" ]; then
	echo "peers: building cosign $cosign_version"
	mkdir -p .cache/bin
	if ! GOBIN=$PWD/.cache/bin CGO_ENABLED=0 GOFLAGS= go install "github.com/sigstore/cosign/v2/cmd/cosign@$cosign_version" 2>.cache/cosign.log; then
		tail -n 5 .cache/cosign.log
		echo "peers: skipped: cosign $cosign_version could not be built here"
		exit 0
	fi
	mv .cache/bin/cosign "$cosign"
fi
sluice=$PWD/bin/sluice
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export HOME=$work # cosign keeps a cache there, and finds nothing
fail() {
	echo "peers: FAILED: $*"
	exit 1
}
checks=0

# cosign_says yes|no KEY ENVELOPE TYPE BLOB WHAT
cosign_says() {
	local want=$1 said=no
	"$cosign" verify-blob-attestation --key "$2" --signature "$3" --type "$4" --insecure-ignore-tlog=true "$5" >cosign.out 2>&1 && said=yes
	[ "$said" = "$want" ] || { cat cosign.out; fail "cosign says $said to $6, want $want"; }
	[ "$want" = yes ] && ! grep -q "Verified OK" cosign.out && fail "cosign did not verify $6"
	checks=$((checks + 1))
}

# changed FILE TO: a copy with one byte of the middle changed, still base64 and JSON where the original is.
changed() {
	python3 - "$1" "$2" <<'PY'
import sys
b = bytearray(open(sys.argv[1], "rb").read())
i = len(b) // 2
while not (chr(b[i]).isalnum() and chr(b[i + 1]).isalnum()):
    i += 1
b[i] = ord("A") if b[i] != ord("A") else ord("B")
open(sys.argv[2], "wb").write(b)
PY
}

# envelope KEY ENVELOPE TYPE BLOB WHAT: good as it is, refused after each change.
envelope() {
	cosign_says yes "$1" "$2" "$3" "$4" "$5"
	cosign_says no demo/keys/oem-root.pub "$2" "$3" "$4" "$5, another key"
	cosign_says no "$1" "$2" urn:sluice:policy:1 "$4" "$5, taken for something else"
	changed "$2" changed.sig
	cosign_says no "$1" changed.sig "$3" "$4" "$5, one byte of the envelope changed"
	changed "$4" changed.blob
	cosign_says no "$1" "$2" "$3" changed.blob "$5, one byte of the subject changed"
}

"$sluice" demo --dir demo --quiet
mkdir bundle
tar --zstd -xf demo/stick/*.tar.zst -C bundle
pub=demo/keys/oem_model_signing.pub
envelope "$pub" bundle/manifest.sig urn:sluice:manifest:1 bundle/manifest.json "a manifest"

cp -r demo/oem/src src
head -c 150000 /dev/urandom >src/models/extra.bin
sed -i -e 's/^version: .*/version: 1.1.0/' -e 's|^  - {path: artifacts/metadata/model-card.md.*|&\n  - {path: artifacts/models/extra.bin, role: weights}|' \
	-e 's|artifacts/metadata/model-card.md\]|artifacts/metadata/model-card.md, artifacts/models/extra.bin]|' src/bundle.yaml
"$sluice" build --spec src/bundle.yaml --key demo/keys/oem_model_signing.key --out volumes --split 66kB --quiet
for volume in volumes/*.[0-9][0-9][0-9]; do
	cosign_says yes "$pub" volumes/*.volumes.sig urn:sluice:volumes:1 "$volume" "volume $(basename "$volume")"
done
envelope "$pub" volumes/*.volumes.sig urn:sluice:volumes:1 volumes/*.001 "the list of volumes"

n=0
for record in demo/root/reports/odbior-*.dsse.json; do
	who=anna
	python3 -c 'import base64,json,sys; sys.exit(json.loads(base64.b64decode(json.load(open(sys.argv[1]))["payload"]))["predicate"]["person"] != "jan")' "$record" && who=jan
	envelope "demo/keys/$who.pub" "$record" urn:sluice:signoff:1 bundle/manifest.json "the sign-off of $who"
	n=$((n + 1))
done
[ "$n" -ge 3 ] || fail "only $n sign-offs"

# Without any library for DSSE: the encoding that was signed, put together by hand.
openssl_says() {
	local want=$1 said=no
	{ printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$(stat -c %s "$2")" && cat "$2"; } >pae
	openssl pkeyutl -verify -pubin -inkey "$3" -rawin -in pae -sigfile sig >/dev/null 2>&1 && said=yes
	[ "$said" = "$want" ] || fail "OpenSSL says $said to $4, want $want"
	checks=$((checks + 1))
}
jq -r .payload bundle/manifest.sig | base64 -d >payload
jq -r '.signatures[0].sig' bundle/manifest.sig | base64 -d >sig
openssl_says yes payload "$pub" "a manifest"
changed payload changed.payload
openssl_says no changed.payload "$pub" "a changed payload"
openssl_says no payload demo/keys/oem-root.pub "another key"

echo "peers: cosign $cosign_version and $(openssl version | cut -d' ' -f1,2) agree in $checks checks: manifest, volumes, $n sign-offs, each refused after a change"

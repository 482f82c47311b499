#!/usr/bin/env bash
# Figures of docs/performance.md: the same 1 GiB bundle through sluice and through tar, zstd, sha384sum and openssl, in one
# run on one machine, page cache warm, best of three. Ratios are what counts; seconds differ from machine to machine.
# SIZE_MIB makes it smaller, DIR keeps the files.
set -euo pipefail
cd "$(dirname "$0")/.."
sluice=$PWD/bin/sluice
mib=${SIZE_MIB:-1024}
dir=${DIR:-$(mktemp -d)}
[ -n "${DIR:-}" ] || trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
for tool in zstd openssl sha384sum tar python3; do
	command -v $tool >/dev/null || { echo "bench: $tool is missing"; exit 1; }
done

echo "bench: making the input ($mib MiB) under $dir"
go run ./internal/benchdata -out "$dir/src" -mib "$mib"
export SLUICE_ROOT=$dir/root
q="--quiet --progress none"
for k in oem-root release; do $sluice keys generate --out "$dir/keys" --name $k --no-passphrase $q; done
$sluice trust create --of oem --key "$dir/keys/oem-root.key" --target "$dir/keys/release.pub" --out "$dir/1.root.json" $q
fp=$($sluice trust create --of oem --key "$dir/keys/oem-root.key" --target "$dir/keys/release.pub" --out "$dir/x.root.json" --json | sed 's/"fingerprint":"\([^"]*\)".*/|\1/; s/.*|//')
$sluice trust init --of oem --from "$dir/x.root.json" --fingerprint "$fp" $q
$sluice build --spec "$dir/src/bundle.yaml" --key "$dir/keys/release.key" --out "$dir/dist" $q
bundle=$(ls "$dir"/dist/*.tar.zst)

seconds() { # best of three wall-clock seconds of "$@"; before each run $before
	python3 - "$before" "$@" <<'PY'
import subprocess, sys, time
before, cmd = sys.argv[1], sys.argv[2:]
best = None
for _ in range(3):
    subprocess.run(before, shell=True, check=True)
    t = time.perf_counter()
    subprocess.run(cmd, check=True, stdout=subprocess.DEVNULL)
    t = time.perf_counter() - t
    best = t if best is None else min(best, t)
print("%.3f" % best)
PY
}
clean="chmod -R u+w '$dir/root/ai_models/bundles' '$dir/tar' 2>/dev/null; rm -rf '$dir/root/ai_models/bundles' '$dir'/root/ai_models/*.json '$dir/root/.staging' '$dir/tar'; mkdir -p '$dir/tar'; sync; cat '$bundle' >/dev/null"

# What an administrator would do without sluice: unpack, check every digest, check the signature.
cat >"$dir/byhand.sh" <<'SH'
set -e
cd "$1/tar"
tar --zstd -xf "$2"
python3 -c 'import json;[print(a["sha384"]+"  "+a["path"]) for a in json.load(open("manifest.json"))["artifacts"]]' >sums
sha384sum --quiet -c sums
python3 -c '
import json,base64
e=json.load(open("manifest.sig")); p=base64.b64decode(e["payload"]); t=e["payloadType"].encode()
open("pae","wb").write(b"DSSEv1 %d %s %d %s"%(len(t),t,len(p),p)); open("sig","wb").write(base64.b64decode(e["signatures"][0]["sig"]))'
openssl pkeyutl -verify -pubin -inkey "$1/keys/release.pub" -rawin -in pae -sigfile sig >/dev/null
sync -f .
SH
before=$clean
whole_hand=$(seconds bash "$dir/byhand.sh" "$dir" "$bundle")
whole=$(seconds "$sluice" install "$bundle" --variant whole $q)
large=$(seconds "$sluice" install "$bundle" --variant large $q)
small=$(seconds "$sluice" install "$bundle" --variant small $q)
peak=$( (eval "$clean"; /usr/bin/env python3 - "$sluice" "$bundle" <<'PY'
import resource, subprocess, sys
subprocess.run([sys.argv[1], "install", sys.argv[2], "--variant", "whole", "--quiet", "--progress", "none"], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
PY
) )
before=true
verify=$(seconds "$sluice" verify "$bundle" $q)
folder=$(ls -d "$dir"/root/ai_models/bundles/v*)
installed=$(seconds "$sluice" verify "$folder" $q)
python3 -c 'import json,sys;m=json.load(open(sys.argv[1]+"/manifest.json"));i=json.load(open(sys.argv[1]+"/installed.json"));[print(a["sha384"]+"  "+sys.argv[1]+"/"+a["path"]) for a in m["artifacts"] if a["path"] in i["files"]]' "$folder" >"$dir/sums"
sums=$(seconds sha384sum --quiet -c "$dir/sums")
python3 - "$mib" "$(stat -c %s "$bundle")" "$whole_hand" "$whole" "$large" "$small" "$verify" "$installed" "$sums" "$peak" "$(nproc)" <<'PY'
import sys
mib, size = int(sys.argv[1]), int(sys.argv[2])
hand, whole, large, small, verify, installed, sums = map(float, sys.argv[3:10])
print(f"\n{mib} MiB of weights, bundle {size/1e6:.0f} MB, {sys.argv[11]} cores, best of 3, page cache warm\n")
print("| what | seconds | time against by hand |\n|---|---|---|")
print(f"| by hand: tar --zstd -xf, sha384sum -c, openssl, sync | {hand:.2f} | 1.00 |")
for n, t in (("sluice install, all weights (with smoke test)", whole), ("sluice install, large variant (10/16)", large), ("sluice install, small variant (1/16)", small), ("sluice verify BUNDLE (nothing written)", verify)):
    print(f"| {n} | {t:.2f} | {t/hand:.2f} |")
print("\n| installed folder | seconds | time against sha384sum |\n|---|---|---|")
print(f"| sha384sum -c | {sums:.2f} | 1.00 |\n| sluice verify DIR | {installed:.2f} | {installed/sums:.2f} |")
print(f"\npeak memory of sluice install, children included: {sys.argv[10]} MiB")
PY

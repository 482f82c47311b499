#!/bin/sh
# The guard of a bot's own CI: are the packaged models there, and are they what the OEM signed?
#
#   guard_oem_models.sh [--dir DIR] [--pubkey FILE]
#
# DIR holds one bundle or its volumes (ai_models/bundles/latest). Works offline; changes nothing.
#
#   BOT_CORE_REQUIRE_OEM_MODELS   no models       sound models   invalid models
#   set (1, true, yes, …)         fails, exit 4   passes         fails, sluice's exit status
#   unset, 0, false, no, off      warns, exit 0   passes         fails, sluice's exit status
set -eu
sluice=${SLUICE:-sluice}
dir=ai_models/bundles/latest pubkey=ai_models/keys/oem_model_signing.pub
usage() {
	sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
while [ $# -gt 0 ]; do
	[ $# -ge 2 ] || usage
	case $1 in
	--dir) dir=$2 ;;
	--pubkey) pubkey=$2 ;;
	*) usage ;;
	esac
	shift 2
done
case $(printf '%s' "${BOT_CORE_REQUIRE_OEM_MODELS:-}" | tr '[:upper:]' '[:lower:]') in
'' | 0 | false | no | off) required=no ;;
*) required=yes ;;
esac
# Volumes are opened through their index. Two bundles would leave open which one is meant.
found='' n=0
for f in "$dir"/*.tar.zst "$dir"/*.tar.zst.volumes.sig; do
	[ -f "$f" ] || continue
	found=$f n=$((n + 1))
done
if [ "$n" -gt 1 ]; then
	echo "guard_oem_models: $n bundles in $dir, wanted: one" >&2
	exit 2
fi
if [ "$n" -eq 0 ]; then
	if [ "$required" = yes ]; then
		echo "guard_oem_models: MissingOEMBundle: no bundle in $dir, and BOT_CORE_REQUIRE_OEM_MODELS is set" >&2
		exit 4
	fi
	echo "guard_oem_models: WARNING: no bundle in $dir; with BOT_CORE_REQUIRE_OEM_MODELS=1 this fails" >&2
	exit 0
fi
"$sluice" build --validate "$found" --pubkey "$pubkey" >&2 || {
	status=$?
	echo "guard_oem_models: InvalidOEMBundle: $found was refused, for the reason above" >&2
	exit "$status"
}
echo "guard_oem_models: $found is what the OEM signed"

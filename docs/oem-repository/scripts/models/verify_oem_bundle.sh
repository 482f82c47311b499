#!/bin/sh
# Checks a finished bundle as a stranger would: format, signature by the published key, every byte, the contract against
# the models' real inputs and outputs, golden cases.
#
#   verify_oem_bundle.sh BUNDLE [--pubkey FILE] [--strict]
#
# --strict: a variant that this machine cannot execute (a GPU's, say) is a failure too. Exit status: sluice's own.
set -eu
sluice=${SLUICE:-sluice}
bundle='' pubkey=ai_models/keys/oem_model_signing.pub strict=''
usage() {
	sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
while [ $# -gt 0 ]; do
	case $1 in
	--pubkey)
		[ $# -ge 2 ] || usage
		pubkey=$2
		shift
		;;
	--strict) strict=--strict ;;
	-*) usage ;;
	*)
		[ -z "$bundle" ] || usage
		bundle=$1
		;;
	esac
	shift
done
[ -n "$bundle" ] || usage
exec "$sluice" build --validate "$bundle" --pubkey "$pubkey" $strict

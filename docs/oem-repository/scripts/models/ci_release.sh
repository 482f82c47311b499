#!/bin/sh
# What the workflow runs: puts the CI's secrets where release_oem_bundle.sh wants them, and takes them away again.
#
#   OEM_MODEL_SIGNING_KEY=… [OEM_MODEL_SIGNING_PASSPHRASE=…] [SLUICE_MACHINE_KEY=…] ci_release.sh TAG REMOTE
set -eu
[ $# -eq 2 ] || {
	sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
: "${OEM_MODEL_SIGNING_KEY:?the signing key, OpenSSH format}"
secrets=$(mktemp -d)
trap 'rm -rf "$secrets"' EXIT
trap 'exit 130' INT TERM
umask 077
printf '%s\n' "$OEM_MODEL_SIGNING_KEY" >"$secrets/key"
printf '%s\n' "${OEM_MODEL_SIGNING_PASSPHRASE:-}" >"$secrets/passphrase"
if [ -n "${SLUICE_MACHINE_KEY:-}" ]; then
	mkdir -p machine
	printf '%s' "$SLUICE_MACHINE_KEY" | base64 -d >machine/machine.key
fi
umask 022
git config user.name >/dev/null || git config user.name "OEM model release"
git config user.email >/dev/null || git config user.email "oem-models@localhost"
set -- "$1" --key "$secrets/key" --push "$2"
[ -z "${OEM_MODEL_SIGNING_PASSPHRASE:-}" ] || set -- "$@" --passphrase-file "$secrets/passphrase"
sh "$(dirname "$0")/release_oem_bundle.sh" "$@"

#!/bin/sh
# Fetches the sluice program into bin/ and believes it only by its digest.
#
#   SLUICE_URL=… SLUICE_SHA256=… fetch_sluice.sh
set -eu
: "${SLUICE_URL:?where the static program lies}" "${SLUICE_SHA256:?its SHA-256, from the vendor}"
mkdir -p bin
curl --fail --silent --show-error --location --output bin/sluice.partial "$SLUICE_URL"
printf '%s  bin/sluice.partial\n' "$SLUICE_SHA256" | sha256sum --check --quiet
chmod 0755 bin/sluice.partial
mv bin/sluice.partial bin/sluice

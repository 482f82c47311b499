#!/usr/bin/env bash
# Installs the tools of others that the tests check our bundles with. The program itself needs none of them.
set -euo pipefail
need=()
for pair in zstd:zstd openssl:openssl ssh-keygen:openssh-client make:make git:git tar:tar unshare:util-linux pdftotext:poppler-utils python3:python3 jq:jq; do
	command -v "${pair%%:*}" >/dev/null 2>&1 || need+=("${pair##*:}")
done
if [ ${#need[@]} -eq 0 ]; then
	echo "setup: nothing to install"
	exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "setup: please install: ${need[*]} (tests that need them will be skipped, with the reason)"
	exit 0
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
echo "setup: installed ${need[*]}"

#!/usr/bin/env bash
# The whole journey in a network namespace that has no interface but a dead loopback.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
if unshare -rn true 2>/dev/null; then
	unshare -rn bin/sluice demo --dir "$dir/demo"
	echo "offline: the journey ran with no network (unshare -rn)"
elif unshare -n true 2>/dev/null; then
	unshare -n bin/sluice demo --dir "$dir/demo"
	echo "offline: the journey ran with no network (unshare -n)"
else
	echo "offline: SKIPPED: this system does not allow network namespaces (unshare -rn)"
fi

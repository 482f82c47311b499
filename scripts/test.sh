#!/usr/bin/env bash
# Runs all tests and says at the end what was skipped and why. Arguments go to "go test".
set -uo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0 BOT_CORE_REQUIRE_OEM_MODELS="${BOT_CORE_REQUIRE_OEM_MODELS-1}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
[ $# -gt 0 ] || set -- ./...
go vet ./... || exit 1
go test -count=1 -timeout 30m -v "$@" >"$log" 2>&1
rc=$?
grep -E '^(ok|FAIL|---? FAIL|panic:|\?)' "$log" | grep -v 'no test files'
if [ $rc -ne 0 ]; then
	echo "--- what failed"
	# Whole log of failing packages: a failure must be readable without a second run.
	grep -vE '^(=== (RUN|PAUSE|CONT|NAME)|--- PASS| +--- PASS|PASS|ok )' "$log" | tail -n 400
fi
echo "--- skipped, and why"
grep -A3 -E '^ *--- SKIP' "$log" || echo "nothing was skipped"
grep -hE '^ *[a-z_]+_test\.go:[0-9]+: (conformance|summary):' "$log"
passed=$(grep -cE '^ *--- PASS' "$log"); failed=$(grep -cE '^ *--- FAIL' "$log"); skipped=$(grep -cE '^ *--- SKIP' "$log")
echo "$passed passed, $failed failed, $skipped skipped"
exit $rc

#!/usr/bin/env bash
# Runs all tests and says at the end what was skipped and why. Arguments go to "go test".
set -uo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0 BOT_CORE_REQUIRE_OEM_MODELS="${BOT_CORE_REQUIRE_OEM_MODELS-1}"
[ $# -gt 0 ] || set -- ./...
go vet ./... || exit 1
go build -o bin/testreport ./internal/testreport || exit 1
go test -count=1 -timeout 30m -json "$@" 2>&1 | bin/testreport

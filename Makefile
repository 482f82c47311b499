# Targets print what they do. Only "window" targets need a C compiler; everything here is pure Go.
export CGO_ENABLED := 0
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0-dev)
EPOCH   ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.builtUnix=$(EPOCH)
GOFLAGS_BUILD := -trimpath -ldflags "$(LDFLAGS)"

.PHONY: build test demo offline real bench generate windows darwin clean

build: ## the static program, bin/sluice
	go build $(GOFLAGS_BUILD) -o bin/sluice .

demo: build ## the whole journey on the shipped demo model, without a display
	bin/sluice demo $(if $(DEMO_DIR),--dir "$(DEMO_DIR)")

test: ## every test; says at the end what was skipped and why
	bash scripts/test.sh

offline: build ## the journey without any network
	bash scripts/offline.sh

real: build ## a real third-party model through ONNX Runtime
	bash scripts/real.sh

bench: build ## figures of docs/performance.md, as ratios against other tools in the same run
	bash scripts/bench.sh

generate: ## the demo model and the generated documents, reproducibly
	go generate ./...

windows: ## command line for Windows, cross-compiled
	GOOS=windows GOARCH=amd64 go build $(GOFLAGS_BUILD) -o bin/sluice.exe .

darwin: ## command line for macOS, cross-compiled
	GOOS=darwin GOARCH=arm64 go build $(GOFLAGS_BUILD) -o bin/sluice-darwin .

clean:
	rm -rf bin dist .cache

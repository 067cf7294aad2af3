# The project's commands. `make` alone lists them.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
GO          ?= go
DIST        ?= dist
IMAGE       ?= omnirelay
FUZZTIME    ?= 30s
# Certificate authorities for the image: Debian's and most others' path.
CA_BUNDLE   ?= /etc/ssl/certs/ca-certificates.crt

.PHONY: help
help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## Run the relay on the embedded default, data in ./data
	$(GO) run ./cmd/omnirelay serve

.PHONY: test
test: ## Run every test
	$(GO) test ./...

.PHONY: race
race: ## Run the tests under the race detector, without the longest end-to-end ones
	$(GO) test -race -short ./...

.PHONY: vet
vet: ## Run go vet
	$(GO) vet ./...

.PHONY: lint
lint: ## Run golangci-lint (the version .ci/run pins)
	golangci-lint run

.PHONY: fmt
fmt: ## Format the code
	gofmt -w $$(git ls-files -co --exclude-standard '*.go')

.PHONY: generate
generate: ## Write every generated file anew
	$(GO) generate ./...

.PHONY: bench
bench: ## Run every Go benchmark
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZTIME
	@for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p; \
		done; \
	done

.PHONY: dist
dist: ## Build the static binary and the rest of the image's build context
	install -d -m 0755 $(DIST) && install -d -m 0700 $(DIST)/data
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(DIST)/omnirelay ./cmd/omnirelay
	install -m 0644 $(CA_BUNDLE) $(DIST)/ca-certificates.crt

.PHONY: image
image: dist ## Build the container image
	docker build -f deploy/Dockerfile -t $(IMAGE) .

.PHONY: ci
ci: ## Do what CI does (needs root and apt: it installs what is missing)
	bash .ci/run

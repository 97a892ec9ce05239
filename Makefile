# `make` lists the targets: each tells what it does behind two number signs.
.DEFAULT_GOAL := help

GOLANGCI_VERSION := v2.15.0
GOLANGCI := .bin/golangci-lint-$(GOLANGCI_VERSION)
FUZZTIME ?= 20s

# Modules beside the library, which has none of their dependencies.
MODULES := bench conformance outage payload/gojson internal/testserver/ferretdb

# Runs what follows with the servers that the tests need, and removes them.
WITH_SERVERS := go run ./internal/testserver/run

.PHONY: help
help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: ## all tests, with the race detector; then those of SQLite without cgo. TESTFLAGS go to go test
	$(WITH_SERVERS) $(MAKE) --no-print-directory tests

.PHONY: tests
tests:
	CGO_ENABLED=1 go test -race $(TESTFLAGS) ./...
	CGO_ENABLED=0 go test $(TESTFLAGS) ./sqlite ./repository ./cache
	cd outage && CGO_ENABLED=1 go test -race $(TESTFLAGS) ./...
	cd conformance && go test $(TESTFLAGS) ./...
	cd payload/gojson && go test $(TESTFLAGS) ./...
	cd bench && go vet ./...

.PHONY: servers
servers: ## the servers of the tests, until interrupted; prints the variables that lead to them
	@$(WITH_SERVERS)

.PHONY: lint
lint: $(GOLANGCI) ## the analysers of .golangci.yml, on the library and the modules beside it; go vet for other systems
	$(GOLANGCI) run ./...
	go mod tidy -diff
	CGO_ENABLED=0 GOARCH=386 go vet ./...
	CGO_ENABLED=0 GOOS=windows go vet ./...
	@set -e; for module in $(MODULES); do (set -x; cd $$module; \
	  "$(CURDIR)/$(GOLANGCI)" run --config "$(CURDIR)/.golangci.yml" ./...; \
	  go mod tidy -diff); \
	done

$(GOLANGCI):
	GOBIN=$(CURDIR)/.bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv .bin/golangci-lint $@

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (20s)
	@set -e; for module in . payload/gojson; do for package in $$(go list -C $$module ./...); do \
	  for target in $$(go test -C $$module -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; \
	    go test -C $$module -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done; done

.PHONY: bench
bench: ## the library against hand-written code, a RATIO line each. BENCHFLAGS go to the program: -run, -rows, -rounds
	$(WITH_SERVERS) -durable go -C bench run . $(BENCHFLAGS)

.PHONY: conformance
conformance: ## the public HTTP cache suite against the transport: required P/N, optional P/N. CONFORMANCEFLAGS go to the program
	cd conformance && go run . $(CONFORMANCEFLAGS)

.PHONY: cover
cover: ## test coverage by function, and cover.out for go tool cover -html
	$(WITH_SERVERS) go test -coverpkg ./... -coverprofile cover.out $(TESTFLAGS) ./...
	go tool cover -func cover.out

.PHONY: example
example: ## the main job: prefetch what this project's go.mod needs
	go run ./examples/modproxy

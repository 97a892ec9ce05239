# `make` lists the targets: each tells what it does behind two number signs.
.DEFAULT_GOAL := help

GOLANGCI_VERSION := v2.15.0
GOLANGCI := .bin/golangci-lint-$(GOLANGCI_VERSION)
FUZZTIME ?= 20s

# Modules beside the library, which has none of their dependencies.
MODULES := bench conformance outage internal/testserver/ferretdb

# Runs what follows with the servers that the tests need, and removes them.
WITH_SERVERS := go run ./internal/testserver/run

.PHONY: help
help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: ## all tests in their short form, on all servers. TESTFLAGS go to go test
	$(WITH_SERVERS) $(MAKE) --no-print-directory tests-short

.PHONY: test-all
test-all: ## all tests in their long form, with the race detector; then those of SQLite without cgo
	$(WITH_SERVERS) $(MAKE) --no-print-directory tests-long

# make lint has go vet's findings.
.PHONY: tests-short
tests-short: SHORT := -short -vet=off -timeout 20m $(TESTFLAGS)
tests-short:
	go test $(SHORT) ./...
	cd outage && go test $(SHORT) ./...
	cd conformance && go test $(SHORT) ./...

.PHONY: tests-long
tests-long: LONG := -timeout 40m $(TESTFLAGS)
tests-long:
	CGO_ENABLED=1 go test -race $(LONG) ./...
	CGO_ENABLED=0 go test $(LONG) ./sqlite ./repository ./cache
	cd outage && CGO_ENABLED=1 go test -race $(LONG) ./...
	cd conformance && go test $(LONG) ./...
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
	@set -e; for package in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done

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

# `make` lists the targets: each tells what it does behind two number signs.
.DEFAULT_GOAL := help

GOLANGCI_VERSION := v2.15.0
GOLANGCI := .bin/golangci-lint-$(GOLANGCI_VERSION)
FUZZTIME ?= 20s

# The folders of the modules of go.work, from here, as the path to here may have a space.
MODULES = $(subst $(CURDIR),.,$(shell go list -m -f '{{.Dir}}'))
PACKAGES = $(patsubst %,%/...,$(filter-out .,$(MODULES)) .) # the root last: the slowest tests are elsewhere

# All but what measures the driver of SQLite that needs cgo.
PORTABLE = $(filter-out ./internal/bench/...,$(PACKAGES))

# The packages that have tests: the others need not be compiled for them.
TESTED = $(shell go list $(TAGS) -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' $(PACKAGES))

# What the race detector would only make several times longer: what runs on one goroutine, and what tries
# as a whole, in a browser or over slow servers, packages whose own tests run with it. The suite of drivertest
# runs with it for each store.
UNRACED = $(filter %/archive %/cmd/endpointcache %/drivertest %/gen %/internal/diff %/internal/doccheck %/internal/fleetsim \
  %/fleetsim/model %/internal/gendocs %/internal/inspectortest %/internal/layers %/internal/preview %/endpointcache/store,$(TESTED))

# How many packages are tested at once: some wait for servers and timers meanwhile.
JOBS = $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

# The examples can open every store.
TAGS := -tags allstores

# Runs what follows with the servers that the tests need, and removes them.
WITH_SERVERS := go run ./internal/testserver/run

# The packages whose tests run without cgo as well, and what gives them a driver.
WITHOUT_CGO := -overlay sqlite/purego/testdata/overlay.json ./sqlite ./repository ./cache

.PHONY: help
help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: ## every test in its short form, with the servers of all stores. TESTFLAGS go to go test
	$(WITH_SERVERS) go test -short -vet=off -p $(JOBS) $(TAGS) -timeout 20m $(TESTFLAGS) $(TESTED) # make lint has what go vet finds

.PHONY: test-all
test-all: ## every test in its long form, nearly all with the race detector; then those of SQLite without cgo, in the short one
	$(WITH_SERVERS) $(MAKE) --no-print-directory long-tests

.PHONY: long-tests
long-tests:
	CGO_ENABLED=1 go test -race -vet=off -p $(JOBS) $(TAGS) -timeout 40m $(TESTFLAGS) $(filter-out $(UNRACED),$(TESTED))
	go test -vet=off -p $(JOBS) $(TAGS) -timeout 40m $(TESTFLAGS) $(UNRACED)
	go test -vet=off $(TAGS) $(TESTFLAGS) -run Allocat ./fetch ./internal/checksum # the race detector lets pools forget
	CGO_ENABLED=0 go test -short -timeout 40m $(TESTFLAGS) $(WITHOUT_CGO) ./sqlite/purego
	go test $(TESTFLAGS) ./examples/...

.PHONY: servers
servers: ## the servers of the tests, until interrupted; prints the variables that lead to them
	@$(WITH_SERVERS)

.PHONY: lint
lint: $(GOLANGCI) ## the analysers of .golangci.yml on all modules; go vet for other systems
	$(GOLANGCI) run $(PACKAGES)
	CGO_ENABLED=0 GOOS=linux GOARCH=386 go vet ./...
	CGO_ENABLED=0 GOOS=windows GOARCH=386 go vet $(TAGS) $(PORTABLE)

$(GOLANGCI):
	GOBIN="$(CURDIR)/.bin" go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv .bin/golangci-lint $@

.PHONY: modules
modules: ## that the modules agree on their versions, and that each builds alone
	go run ./internal/release
	@set -e; export GOWORK=off; for module in $(MODULES); do (set -x; cd $$module; \
	  go build $(TAGS) ./...; \
	  go vet $(TAGS) ./...; \
	  go mod tidy -diff); \
	done

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (20s)
	@set -e; for package in $$(go list $(PACKAGES)); do \
	  targets=$$(go test -list '^Fuzz' $$package); \
	  for target in $$(echo "$$targets" | grep '^Fuzz' || true); do \
	    echo "$$package $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$package; \
	  done; \
	done

.PHONY: bench
bench: ## the library against hand-written code, a RATIO line each. BENCHFLAGS go to the program: -run, -rows, -rounds
	$(WITH_SERVERS) -durable go -C internal/bench run . $(BENCHFLAGS)

.PHONY: stress-sqlite
stress-sqlite: ## processes that use one SQLite file: times, errors, the log's size. STRESSFLAGS go to the program: -processes, -duration, -reader
	go run ./internal/sqlitestress $(STRESSFLAGS)

.PHONY: conformance
conformance: ## the public HTTP cache suite against the transport, with three keys and in two forms: required P/N, optional P/N. CONFORMANCEFLAGS go to the program
	go -C internal/conformance run . $(CONFORMANCEFLAGS)

.PHONY: cover
cover: ## test coverage by function, and cover.out for go tool cover -html
	$(WITH_SERVERS) go test $(TAGS) -timeout 40m -coverpkg ./... -coverprofile cover.out $(TESTFLAGS) $(PACKAGES)
	go tool cover -func cover.out

.PHONY: example
example: ## the main job: prefetch what the modules of this project need
	go run ./examples/modproxy

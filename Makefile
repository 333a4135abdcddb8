# What a newcomer runs is `make check`; continuous integration runs the same.

GO ?= go

.PHONY: check test vet race canisters

check: vet test race

vet:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./... ./testdata/conformance/spec
	$(GO) tool staticcheck ./...

test:
	$(GO) test ./...
	$(GO) test ./testdata/conformance/spec

# The race detector cannot see memory that the engine and the page faults change; memstore/doc.go says what it covers.
race:
	$(GO) test -race -short ./pagetrie ./snapshot ./fsm

# Builds the C canisters again; needs Debian's clang and lld.
canisters:
	testdata/canister/build.sh

# Every target says what it does after "##"; `make` alone prints the list.
GO       ?= $(shell command -v go || echo /usr/local/go/bin/go)
# A count, not a time: where the time runs out during an execution, go test -fuzz calls
# that a failure ("context deadline exceeded").
FUZZTIME ?= 5000x
BENCH    ?= .
# One person may build what another one owns (root in a container): git then refuses
# to say which commit this is, and the build must not fail over that.
BUILDVCS := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo auto || echo false)
export GO

.DEFAULT_GOAL := help
.PHONY: help run build test test-guard check fmt vet lint generated tidy shell arch generate bench bench-guard fuzz race clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## build, load the built-in sample, scan this machine, print the report
	@scripts/setup run
	@$(MAKE) --no-print-directory build
	@mkdir -p .cache
	bin/kannuki scan --db .cache/run.db

build: ## build the programs into bin/ (static, no C)
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(BUILDVCS) -o bin/ ./cmd/...

test: ## run everything: format, vet, all tests (of fuzz targets the seeds)
	@scripts/setup test
	@scripts/setup guard || echo "SKIPPED: no test machines, so nothing about kernels will be tested; see above" >&2
	@$(MAKE) --no-print-directory fmt vet
	$(GO) test -count=1 -timeout 60m ./...

test-guard: ## only what runs in test machines under QEMU; fails where there can be none
	@scripts/setup guard
	KANNUKI_VM=required $(GO) test -count=1 -timeout 90m ./internal/vm/... ./guard/... ./agent/setup ./test/scenario/...

check: ## vet, gofmt, staticcheck, arch test, shell, generated files up to date, go.mod tidy
	@scripts/setup check
	@$(MAKE) --no-print-directory fmt vet lint arch shell generated tidy

fmt: ## fail where gofmt would change something
	@files=$$(git ls-files -co --exclude-standard '*.go' | while read -r f; do [ -e "$$f" ] && echo "$$f"; done | xargs gofmt -l); \
	if [ -n "$$files" ]; then echo "gofmt would change (run: gofmt -w .):"; echo "$$files"; exit 1; fi

vet: ## go vet, also of the tests that run in test machines only
	$(GO) vet ./...
	$(GO) vet -tags guest ./...

lint: ## staticcheck, pinned in tools/go.mod, chosen in staticcheck.conf
	$(GO) tool -modfile=tools/go.mod staticcheck -tags guest ./...

arch: ## the import rules and budgets of ARCHITECTURE.md
	$(GO) test -count=1 -run 'Architecture|Layout|Budgets|Rule|Attach' .

shell: ## shellcheck on every script
	shellcheck scripts/* .ci/run internal/vm/debian/customize

generated: ## fail where go generate changes a file
	scripts/generated

tidy: ## fail where go mod tidy changes go.mod or go.sum
	$(GO) mod tidy -diff
	cd tools && $(GO) mod tidy -diff

generate: ## write generated files anew
	$(GO) generate ./...

bench: ## run the benchmarks (BENCH=regexp), then what kannuki costs on real data, beside others (scripts/peers)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...
	$(GO) run ./test/bench

bench-guard: ## what the guard costs, in instructions, beside fapolicyd and AppArmor (KERNEL=6.12, TIER=1, CASES=guard,fapol. choose)
	@scripts/setup guard
	@scripts/setup bench-guard
	cd test/benchguard && KANNUKI_VM=required $(GO) test -tags benchguard -count=1 -timeout 2h -run TestTables

fuzz: ## fuzz every target (FUZZTIME=5000x each, minutes in all; a time such as 1m for a long run)
	scripts/fuzz $(FUZZTIME)

race: ## all tests under the race detector (needs gcc, takes long)
	CGO_ENABLED=1 $(GO) test -race -short -timeout 30m ./...

clean: ## remove what was built, and the database of make run
	rm -rf bin .cache

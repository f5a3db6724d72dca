# SPDX-License-Identifier: Apache-2.0
# `make` alone prints what there is. Every target does its own set-up.

GO      ?= go
TOOL    := $(GO) tool -modfile=tools/go.mod
LDFLAGS := -s -w

export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help build nss test demo lint fmt fuzz race netns cross packages size clean sim mutants bench-peers bench-label

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the programs into bin/
	@scripts/need go
	@scripts/build bin
	@scripts/nss --if-possible

nss: ## build the name service module for the GNU C library into bin/
	@scripts/need gcc
	@scripts/nss

test: ## run every test, namespaces included
	@scripts/test

demo: ## play the story of the camera in network namespaces (ARGS=--keep leaves it standing)
	@scripts/demo $(ARGS)

lint: ## format check, go vet, golangci-lint, dead code
	@scripts/lint

fmt: ## format every Go file
	@scripts/need go
	$(TOOL) gofumpt -w $$(git ls-files -co --exclude-standard '*.go')

fuzz: ## fuzz every parser a little (FUZZTIME=5s each)
	@scripts/fuzz

race: ## the tests of rooms with goroutines or locks, under the race detector
	@scripts/race

netns: ## only the tests that need network namespaces
	@scripts/test netns

sim: ## play a scenario of the simulator (NAME=line SEED=1; NAME=-list names them)
	@$(GO) run ./internal/sim/cmd/staex-sim -seed $(or $(SEED),1) $(or $(NAME),-list)

mutants: ## take each security check away and show which test goes red (ARGS=regexp; long)
	@scripts/mutants $(ARGS)

cross: ## build for every router and server we ship to
	@scripts/cross

packages: ## make deb, rpm, apk and ipk in dist/packages (ARGS="arm64 amd64")
	@scripts/packages $(ARGS)

bench-peers: ## measure us beside other networks (PEERS= TESTS= LINES= ROUNDS=5 IDLE=1m choose; 14 min)
	@scripts/bench-peers

bench-label: ## measure a relay that switches labels in the kernel (ARGS="-plain -rounds 5"; root; 4 min)
	@scripts/bench-label $(ARGS)

size: ## check that the programs still fit a small router
	@scripts/size

clean: ## remove what the targets above made
	rm -rf bin dist

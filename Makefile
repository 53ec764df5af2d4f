# berth: what people run. `make help` lists it.

CARGO ?= cargo
TARGET := x86_64-unknown-linux-gnu
BIN := target/berth
# Where cargo builds; an old program must never be installed in place of a new one.
BUILT := $(or $(CARGO_TARGET_DIR),target)
# Always this one selection, or cargo compiles the EC2 SDK again for another one.
DAEMON := --release --workspace --exclude bench --exclude containerd --exclude fuzz-entries --bins --features berthd/aws
export PATH := $(HOME)/.cargo/bin:/usr/sbin:/sbin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup build demo test conformance conformance-reference fuzz bench order e2e lint fmt doc fleet manifests check-deploy clean ci

help: ## show this
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-22s %s\n", $$1, $$2}'

setup: ## install what builds and tests need (apt), saying what
	@scripts/setup

build: $(BIN)/berth-cni $(BIN)/berthd $(BIN)/floor-plugin ## build berthd, mock-ec2, mock-apiserver, berth-demo and the static berth-cni into target/berth

.PHONY: $(BIN)/berth-cni $(BIN)/berthd
# No C library, no relocations: plugin/bare stands in its place. Flags need --target, or proc macros would get them too.
BARE := --cfg bare -C target-feature=+crt-static -C relocation-model=static -C link-args=-nostartfiles -C link-args=-nodefaultlibs
PLUGIN := --profile plugin -p berth-cni --bin berth-cni --target $(TARGET)
$(BIN)/berth-cni:
	RUSTFLAGS='$(BARE)' $(CARGO) build $(PLUGIN)
	@mkdir -p $(BIN)
	install -m 0755 $(BUILT)/$(TARGET)/plugin/berth-cni $(BIN)/berth-cni

# aws-sdk-ec2 takes about 5 minutes and 5 GiB the first time.
$(BIN)/berthd:
	$(CARGO) build $(DAEMON)
	@mkdir -p $(BIN)
	install -s -m 0755 $(addprefix $(BUILT)/release/,berthd mock-ec2 mock-apiserver berth-demo ec2-port conformance berth-conformance) $(BIN)/

demo: setup build ## two nodes on the mock cloud: every check by name, a table, target/demo.json (root)
	@$(BIN)/berth-demo

# The plugin's protocol twice: as cargo builds it for tests, and as it is installed.
test: setup build ## all tests, end to end included (root)
	$(CARGO) test --workspace
	BERTH_BIN_DIR=$(abspath $(BIN)) $(CARGO) test --workspace --test protocol

bench: setup build $(BIN)/berth-bench ## measure against the kernel's floor and other plugins: a table, target/bench.json, target/bench/*.svg (root; ARGS=)
	@$(BIN)/berth-bench $(ARGS)

# Only that it works; nothing that is measured here is looked at.
bench-quick: setup build $(BIN)/berth-bench
	@$(BIN)/berth-bench --quick --out target/bench-quick.json

.PHONY: bench-quick $(BIN)/floor-plugin $(BIN)/berth-bench
FLOOR_BARE := --profile plugin -p floor --bin floor-bare --target $(TARGET)
# What berth is measured against: ordinary static programs, and one that starts as berth-cni does.
$(BIN)/floor-plugin:
	RUSTFLAGS='-C target-feature=+crt-static' $(CARGO) build --profile plugin -p floor --bins --target $(TARGET)
	@mkdir -p $(BIN)
	RUSTFLAGS='$(BARE)' $(CARGO) build $(FLOOR_BARE)
	install -m 0755 $(BUILT)/$(TARGET)/plugin/floor-bare $(BIN)/
	install -m 0755 $(addprefix $(BUILT)/$(TARGET)/plugin/,floor-plugin floor-daemon null-plugin timed-plugin) $(BIN)/

$(BIN)/berth-bench:
	$(CARGO) build --release -p bench
	@mkdir -p $(BIN)
	install -s -m 0755 $(BUILT)/release/berth-bench $(BIN)/

order: setup build ## see which functions of berthd run, for its linker: daemon/berthd.order (root; after larger changes)
	$(CARGO) build --release -p bench --bin berth-order
	$(BUILT)/release/berth-order $(BUILT)/release/berthd daemon/berthd.order

conformance: setup build ## try berth-cni by the CNI conformance suite: all versions, first and chained; target/conformance.json (root; ARGS=)
	@$(BIN)/berth-conformance -- --json target/conformance.json $(ARGS)

e2e: setup build ## only the end-to-end tests: crashes among them (root)
	$(CARGO) test -p e2e -p containerd

conformance-reference: build ## drive berth-cni with the CNI project's own cnitool, and try it among its newest plugins, where Go is (root)
	$(CARGO) test -p e2e --test cnitool -- --nocapture
	@plugins=$$(scripts/cni-plugins) || { [ $$? -eq 3 ]; exit; }; \
	$(BIN)/berth-conformance --plugins "$$plugins" -- --cni-version 1.1.0

fuzz: build ## cargo-fuzz's targets for TIME seconds each (60); TARGETS= some of them
	@CARGO=$(CARGO) scripts/fuzz $(TARGETS)
	BERTH_FUZZ_SECONDS=$(or $(TIME),60) $(CARGO) test -p e2e --test clients spoilt

lint: ## rustfmt and clippy, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy $(DAEMON) -- -D warnings
	RUSTFLAGS='$(BARE)' $(CARGO) clippy $(PLUGIN) -- -D warnings
	RUSTFLAGS='$(BARE)' $(CARGO) clippy $(FLOOR_BARE) -- -D warnings

fmt: ## format
	$(CARGO) fmt --all

doc: ## rustdoc of our crates, warnings are errors
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps

# Two files of a trace; without them a made-up one is replayed, and the results say so.
ifndef TRACE
TRACE := $(wildcard ../shared/data/pods-2023.csv)
NODES := $(wildcard ../shared/data/nodes-2023.csv)
endif

fleet: ## simulate clusters under each policy: tables, target/fleet/*.svg, target/fleet.json (TRACE= NODES= ARGS=)
	$(CARGO) build --release -p fleet
	$(BUILT)/release/fleet $(if $(TRACE),--trace $(TRACE)) $(if $(NODES),--nodes $(NODES)) $(ARGS)

manifests: ## make deploy/berth.yaml from the chart
	@scripts/check-deploy render > deploy/berth.yaml.tmp
	@mv deploy/berth.yaml.tmp deploy/berth.yaml

check-deploy: setup build ## check Dockerfile, chart and manifests, and run what the image consists of (root)
	@scripts/check-deploy

clean: ## remove what was built
	$(CARGO) clean

ci: lint test conformance conformance-reference demo bench-quick doc check-deploy ## what CI runs
	@scripts/check-plugin $(BIN)/berth-cni
	@scripts/check-monitoring

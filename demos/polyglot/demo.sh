#!/bin/sh
# Builds the links of the ring and sends a text around: demo.sh [demo-polyglot]
set -eu
cd "$(dirname "$0")/../.."
cargo=${CARGO:-cargo}
target=${CARGO_TARGET_DIR:-target}
here=demos/polyglot
wasm=wasm32-unknown-unknown
out=$target/polyglot
mkdir -p "$out"
"$cargo" rustc -q --locked -p ipfi-ffi --crate-type staticlib
gcc -std=c11 -pedantic -Wall -Wextra -Werror -Icore/ffi/include $here/ring.c "$target/debug/libipfi_ffi.a" -o "$out/ring"
rustc --print target-libdir --target $wasm | xargs test -d || rustup -q target add $wasm
"$cargo" build -q --locked -p ipfi-ffi --example ring --no-default-features --profile guest --target $wasm
wasm-opt -Oz --flatten --rereloop -Oz --converge --enable-bulk-memory --enable-sign-ext --enable-mutable-globals \
    --enable-nontrapping-float-to-int --strip-debug --strip-producers \
    "$target/$wasm/guest/examples/ring.wasm" -o "$out/ring.wasm"
[ $# -gt 0 ] || { "$cargo" build -q --locked -p demo-polyglot; set -- "$target/debug/demo-polyglot"; }
"$1" "$out/ring" "node $here/host.mjs $out/ring.wasm" "python3 $here/ring.py"

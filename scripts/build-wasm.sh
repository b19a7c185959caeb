#!/bin/sh
# Builds runtime/wasm/qc.wasm, which is committed, with Debian's packages alone (their rustc has the sources of std).
set -eu
cd "$(dirname "$0")/../runtime/native"
if ! [ -x /usr/bin/cargo ] || ! command -v wasm-ld-19 > /dev/null; then
  apt-get install -y rustc-web rust-web-src cargo-web lld-19
fi
# Pages load it: whole-program optimisation makes it smaller.
export CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1
RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=target/wasm CARGO_BUILD_JOBS="${CARGO_BUILD_JOBS:-2}" \
  RUSTFLAGS="-Clinker=wasm-ld-19 -Ctarget-feature=+simd128 --remap-path-prefix=$HOME=/home" \
  /usr/bin/cargo build --release --locked --quiet --package qc-wasm --target wasm32-unknown-unknown -Zbuild-std=std,panic_abort
cp target/wasm/wasm32-unknown-unknown/release/qc_wasm.wasm ../wasm/qc.wasm
echo "wasm: runtime/wasm/qc.wasm, $(wc -c < ../wasm/qc.wasm) bytes"

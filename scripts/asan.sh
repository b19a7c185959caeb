#!/bin/sh
# Tests of kernels and solvers under AddressSanitizer, with debug assertions (the standard library's own checks of unsafe calls among them), every
# instruction set of this machine. Needs rustc's own sanitizer runtime, which rustup's toolchains bring; nightly's flag on the stable compiler.
#   sh scripts/asan.sh [CRATE…] [-- FILTER]          (default: qc-kernels qc-solvers)
set -e
cd "$(dirname "$0")/../runtime/native"
host=$(rustc -vV | sed -n 's/^host: //p')
if ! ls "$(rustc --print sysroot)/lib/rustlib/$host/lib/" | grep -q '_rt.asan'; then
  echo 'skipped: this rustc has no AddressSanitizer runtime'
  exit 0
fi
crates=''
while [ $# -gt 0 ] && [ "$1" != -- ]; do crates="$crates -p $1"; shift; done
[ "${1:-}" = -- ] && shift
# The profile keeps loops fast enough; what a test reads beyond its vectors ends the run.
RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -C debug-assertions=on -C overflow-checks=off" \
  CARGO_TARGET_DIR=target/asan ASAN_OPTIONS=detect_leaks=0 \
  cargo test -q --lib --tests --target "$host" ${crates:--p qc-kernels -p qc-solvers} -- "$@"

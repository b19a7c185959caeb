#!/bin/sh
# The operators of qc.v1 under AddressSanitizer: the addon is built with it and driven by broken models (test/native/hostile.ts), the shared runtime of the
# system's compiler stands in for the static one of rustc, since node is the executable.
#   sh scripts/asan-ops.sh [CASES [SEED [OPERATOR]]]          (default: 2000 cases, seed 7)
set -e
cd "$(dirname "$0")/.."
runtime=$(cc -print-file-name=libasan.so)
host=$(rustc -vV | sed -n 's/^host: //p')
if ! [ -e "$runtime" ]; then
  echo 'skipped: the compiler has no shared AddressSanitizer runtime'
  exit 0
fi
(cd runtime/native && RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=address -C debug-assertions=on -C overflow-checks=off' CARGO_TARGET_DIR=target/asan \
  cargo build --release --locked --quiet --package qc-node --target "$host" --config 'profile.release.strip="none"')
library=$(ls "runtime/native/target/asan/$host/release/"libqc_node.* | grep -v '\.d$' | head -1)
cp "$library" runtime/native/target/asan/qc.node
# Leaks of node itself, and its own handling of signals, are none of ours; what a broken model asks for beyond memory is refused.
LD_PRELOAD="$(readlink -f "$runtime")" ASAN_OPTIONS=detect_leaks=0:handle_segv=0:allocator_may_return_null=1:detect_odr_violation=0 QC_NATIVE="$PWD/runtime/native/target/asan/qc.node" \
  node --import tsx test/native/hostile.ts "${1:-2000}" "${2:-7}" ${3:-}

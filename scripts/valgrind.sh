#!/bin/sh
# Tests of kernels under Valgrind's memcheck, in place of Miri, which is only a component of rustup: finds reads of what nobody wrote, which AddressSanitizer
# (scripts/asan.sh) does not. Scalar code and AVX2: Valgrind's processor has no more, other sets are skipped.
#   sh scripts/valgrind.sh [cargo's arguments: --test norm …]          (default: all tests of the crate)
set -e
cd "$(dirname "$0")/../runtime/native"
if ! command -v valgrind > /dev/null; then
  echo 'skipped: valgrind is not installed'
  exit 0
fi
host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
export "CARGO_TARGET_${host}_RUNNER=valgrind -q --error-exitcode=9"
cargo test --release --locked -q -p qc-kernels "${@:---tests}"

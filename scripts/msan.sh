#!/bin/sh
# Scalar code of kernels and solvers under MemorySanitizer, with debug assertions, overflow checks and the standard library's own checks of unsafe calls: in place of
# Miri, which is only a component of rustup. Finds reads of what nobody wrote. The standard library is built along, with Debian's packages (no rustup):
# rustc-web rust-web-src cargo-web. usage: scripts/msan.sh [CRATE…] [-- FILTER]          (default: qc-kernels qc-solvers)
set -eu
cd "$(dirname "$0")/../runtime/native"
host=$(/usr/bin/rustc -vV 2> /dev/null | sed -n 's/^host: //p')
root=$(/usr/bin/rustc --print sysroot 2> /dev/null || true)
if [ -z "$host" ] || ! [ -d "$root/lib/rustlib/src/rust/library" ] || ! ls "$root/lib/rustlib/$host/lib/" | grep -q '_rt.msan'; then
  echo 'skipped: rustc-web with the sources of std and the MemorySanitizer runtime is not installed'
  exit 0
fi
crates=''
while [ $# -gt 0 ] && [ "$1" != -- ]; do crates="$crates -p $1"; shift; done
[ "${1:-}" = -- ] && shift
# Only scalar code: what vector instructions do to single bytes is not followed everywhere.
RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=target/msan CARGO_BUILD_JOBS="${CARGO_BUILD_JOBS:-2}" \
  RUSTFLAGS='-Zsanitizer=memory -C debug-assertions=on -C overflow-checks=on -Zub-checks=yes --cfg qc_scalar' \
  /usr/bin/cargo test --locked --quiet --lib --tests --target "$host" -Zbuild-std=std,panic_unwind,test ${crates:--p qc-kernels -p qc-solvers} -- "$@"

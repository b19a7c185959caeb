#!/bin/sh
# Scalar code of kernels and solvers under MemorySanitizer, with debug assertions, overflow checks and the standard library's own checks of unsafe calls: in place of
# Miri, which is only a component of rustup. Finds reads of what nobody wrote. The standard library is built along, with Debian's packages (no rustup):
# rustc-web rust-web-src cargo-web; the sanitizer's runtime is that of rustup's toolchain. usage: scripts/msan.sh [CRATE…] [-- FILTER]          (default: qc-kernels)
set -eu
cd "$(dirname "$0")/../runtime/native"
host=$(/usr/bin/rustc -vV 2> /dev/null | sed -n 's/^host: //p')
debian=$(/usr/bin/rustc --print sysroot 2> /dev/null || true)
runtime=$(ls "$(rustc --print sysroot)/lib/rustlib/$host/lib/"*_rt.msan.a 2> /dev/null | head -1 || true)
if [ -z "$host" ] || [ -z "$runtime" ] || ! [ -d "$debian/lib/rustlib/src/rust/library" ]; then
  echo 'skipped: rustc-web with the sources of std, or the MemorySanitizer runtime of a rustup toolchain, is not installed'
  exit 0
fi
# Debian's compiler looks for the runtime among its own libraries: a tree of links has both.
root="$PWD/target/msan/root"
rm -rf "$root" && mkdir -p "$root/lib/rustlib/$host/lib"
for file in "$debian/lib/rustlib/"*; do [ "${file##*/}" = "$host" ] || ln -s "$file" "$root/lib/rustlib/"; done
for file in "$debian/lib/rustlib/$host/"*; do [ "${file##*/}" = lib ] || ln -s "$file" "$root/lib/rustlib/$host/"; done
for file in "$debian/lib/rustlib/$host/lib/"*; do ln -s "$file" "$root/lib/rustlib/$host/lib/"; done
ln -s "$runtime" "$root/lib/rustlib/$host/lib/librustc-stable_rt.msan.a"
crates=''
while [ $# -gt 0 ] && [ "$1" != -- ]; do crates="$crates -p $1"; shift; done
[ "${1:-}" = -- ] && shift
# Only scalar code: what vector instructions do to single bytes is not followed everywhere.
RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=target/msan CARGO_BUILD_JOBS="${CARGO_BUILD_JOBS:-2}" \
  RUSTFLAGS="--sysroot $root -Zsanitizer=memory -C debug-assertions=on -C overflow-checks=on -Zub-checks=yes --cfg qc_scalar" \
  /usr/bin/cargo test --locked --quiet --lib --tests --target "$host" -Zbuild-std=std,panic_unwind,test ${crates:--p qc-kernels} -- "$@"

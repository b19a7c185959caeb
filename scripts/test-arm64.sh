#!/bin/sh
# Runs the tests of the kernels for arm64 under qemu-user, NEON's dot product among them, with Debian's packages alone:
# rustc-web rust-web-src cargo-web gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user. usage: scripts/test-arm64.sh [test names …]
set -eu
cd "$(dirname "$0")/../runtime/native"
for tool in /usr/bin/cargo /usr/bin/rustc aarch64-linux-gnu-gcc qemu-aarch64; do
  if ! command -v "$tool" > /dev/null; then
    echo "skipped: $tool is not installed"
    exit 0
  fi
done
if ! [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library" ]; then
  echo "skipped: the sources of std (rust-web-src) are not installed"
  exit 0
fi
RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=target/arm64 CARGO_BUILD_JOBS="${CARGO_BUILD_JOBS:-2}" \
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu" \
  /usr/bin/cargo test --release --locked --quiet --package qc-kernels --tests --target aarch64-unknown-linux-gnu -Zbuild-std=std,panic_unwind,test -- "$@"

#!/bin/sh
# Builds the canisters written in C, and writes down in MANIFEST what was built from what.
#
#   build.sh          build bank/bank.wasm, kv/kv.wasm and memory/memory.wasm, write MANIFEST
#   build.sh DIR      build into DIR instead; nothing here changes (tests use this)
#
# Needs clang with the wasm32 target and wasm-ld: on Debian, apt-get install clang lld
# CLANG names another clang. Nothing is installed by this script.
set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
clang=${CLANG:-clang}
canisters="bank kv memory"

missing=
command -v "$clang" >/dev/null || missing="$missing clang"
command -v wasm-ld >/dev/null || missing="$missing lld"
if [ -n "$missing" ]; then
    echo "build.sh: missing:$missing (on Debian: apt-get install$missing)" >&2
    exit 1
fi

# build NAME OUTPUT
build() {
    "$clang" --target=wasm32 -std=c11 -ffreestanding -nostdlib -fno-builtin -Os -mbulk-memory \
        -Wall -Wextra -Werror -Wno-unused-function -fno-ident -I "$here/include" \
        -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=16384 -Wl,--stack-first \
        -o "$2" "$here/$1/$1.c"
    chmod 644 "$2"
}

if [ $# -gt 0 ]; then
    for name in $canisters; do build "$name" "$1/$name.wasm"; done
    exit 0
fi

for name in $canisters; do build "$name" "$here/$name/$name.wasm"; done
cd "$here"
{
    echo "# SHA-256 of the C canisters, their sources and the script; written by build.sh, check with: sha256sum -c MANIFEST"
    echo "# compiler: $("$clang" --version | head -n 1)"
    sha256sum build.sh include/*.h bank/*.c bank/*.wasm kv/*.h kv/*.c kv/*.wasm memory/*.c memory/*.wasm
} >MANIFEST

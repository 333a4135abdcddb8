#!/bin/sh
# Builds the guests and writes down in MANIFEST what was built from what.
#
#   build.sh          build all modules in place, write MANIFEST
#   build.sh DIR      build into DIR instead; nothing here changes
#   build.sh azle FILE   build the canister in TypeScript, with the JavaScript interpreter of the npm package azle; too big to be
#                        kept here
#
# Needs Debian's clang, lld, wasi-libc, libc++-dev-wasm32, libclang-rt-dev-wasm32, rustc and libstd-rust-dev-wasm32, and npm with
# node. LIBCXX names a folder with the unpacked packages of libc++ for WASI where they are not installed.
# The npm packages go to a folder that is removed afterwards, unless GUEST_NPM names one to keep. CLANG, CLANGXX and RUSTC name
# other compilers. Nothing is installed by this script.
set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
clang=${CLANG:-/usr/bin/clang}
clangxx=${CLANGXX:-/usr/bin/clang++}
rustc=${RUSTC:-/usr/bin/rustc}

npm_folder=${GUEST_NPM:-$(mktemp -d)}
[ -n "${GUEST_NPM:-}" ] || trap 'rm -rf "$npm_folder"' EXIT

# package NAME VERSION: the folder of an npm package, fetched if it is not there.
package() {
    folder=$npm_folder/$1-$2
    [ -d "$folder/node_modules/$1" ] || npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$folder" "$1@$2" >&2
    echo "$folder/node_modules/$1"
}

motoko_classic=3.6.16
motoko_enhanced=4.10.0
assemblyscript=0.28.20
azle=0.33.0

if [ "${1:-}" = azle ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    packages=$(dirname "$(package azle $azle)")
    ln -s "$packages" "$work/node_modules"
    mkdir "$work/src"
    cp "$here/azle/index.ts" "$work/src"
    echo '{"type": "module"}' >"$work/package.json"
    echo '{"canisters": {"probe": {"type": "azle", "main": "src/index.ts"}}}' >"$work/dfx.json"
    cat >"$work/build.ts" <<END
import { runCommand } from '$packages/azle/src/stable/build/commands/build/index';
process.env.CANISTER_CANDID_PATH = '$work/probe.did';
await runCommand('probe', { type: 'azle', main: 'src/index.ts' } as any, 'inherit');
END
    (cd "$work" && node "$packages/tsx/dist/cli.mjs" build.ts)
    cp "$work/.azle/probe/probe.wasm" "$2"
    exit 0
fi

out=${1:-$here}
for tool in "$clang" "$clangxx" wasm-ld "$rustc" node npm; do
    command -v "$tool" >/dev/null || { echo "build.sh: missing: $tool" >&2; exit 1; }
done

for actor in counter store heavy; do
    node "$here/motoko/compile.js" "$(package motoko $motoko_classic)" "$here/motoko/$actor.mo" "$out/$actor-classic.wasm"
    node "$here/motoko/compile.js" "$(package motoko $motoko_enhanced)" "$here/motoko/$actor.mo" "$out/$actor-enhanced.wasm"
done

node "$(package assemblyscript $assemblyscript)/bin/asc.js" words/words.ts --baseDir "$here" --optimizeLevel 3 --shrinkLevel 1 -o "$out/words.wasm"

"$clang" --target=wasm32 -std=c11 -ffreestanding -nostdlib -Os -mbulk-memory -Wall -Wextra -Werror -fno-ident \
    -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=16384 -Wl,--stack-first -o "$out/life.wasm" "$here/life/life.c"

"$clang" --target=wasm32-wasi -mexec-model=reactor -std=gnu11 -Os -mbulk-memory -Wall -Wextra -Werror -fno-ident \
    -Wl,--strip-all -o "$out/ledger.wasm" "$here/ledger/ledger.c"

"$clangxx" --target=wasm32-wasi -mexec-model=reactor -std=c++17 -Os -mbulk-memory -fno-exceptions -fno-rtti -Wall -Wextra -Werror -fno-ident \
    ${LIBCXX:+-nostdinc++ -isystem "$LIBCXX/usr/lib/llvm-14/include/wasm32-wasi/c++/v1" -L"$LIBCXX/usr/lib/wasm32-wasi"} \
    -Wl,--strip-all -o "$out/formulas.wasm" "$here/formulas/formulas.cpp"

"$rustc" --edition 2021 --target wasm32-unknown-unknown --crate-type cdylib --remap-path-prefix "$here=." \
    -C opt-level=s -C lto -C panic=abort -C strip=symbols -o "$out/index.wasm" "$here/index/index.rs"

chmod 644 "$out"/*.wasm
[ "$out" = "$here" ] || exit 0

cd "$here"
{
    echo "# SHA-256 of the guests, their sources and scripts; written by build.sh, check with: sha256sum -c MANIFEST"
    echo "# compilers: $("$clang" --version | head -n 1); $("$rustc" --version) (Debian); npm motoko $motoko_classic and $motoko_enhanced; npm assemblyscript $assemblyscript"
    sha256sum build.sh motoko/* words/*.ts life/*.c ledger/*.c index/*.rs formulas/*.cpp ../canister/include/ic0.h ./*.wasm
} >MANIFEST

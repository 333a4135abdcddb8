package systemapi

import "strings"

// advices tell what to do about imports that there are none of, by what names begin with: first of the module, then of the
// function. The first that fits counts.
var advices = []struct{ module, name, advice string }{
	{"wasi_unstable", "", "it is WASI before preview 1: build for wasi_snapshot_preview1 with a newer toolchain"},
	{"wasi:", "", "it is WASI preview 2, for components: build for WASI preview 1 (wasip1)"},
	{"wasi_ephemeral", "", "threads and neural networks are no part of WASI preview 1: build without them"},
	{"wasi", "thread-spawn", "there are no threads: build for wasip1, not wasip1-threads"},
	{"gojs", "", "built for browsers: build with GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared"},
	{"go", "", "built for browsers: build with GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared"},
	{"wbg", "", "wasm-bindgen's, which calls JavaScript: build without it"},
	{"__wbindgen", "", "wasm-bindgen's, which calls JavaScript: build without it"},
	{"./", "", "a JavaScript module's: a canister has the System API (ic0) and WASI preview 1 only"},
	{"env", "emscripten_", "Emscripten's, which calls JavaScript: build with -sSTANDALONE_WASM --no-entry"},
	{"env", "invoke_", "Emscripten's, which calls JavaScript: build with -sSTANDALONE_WASM --no-entry and without exceptions"},
	{"env", "__cxa_", "C++'s exceptions: build with -fno-exceptions"},
	{"env", "crypto.", "AssemblyScript's, which would need an object of JavaScript's: take Math.random, or raw_rand of the management canister"},
	{"env", "Math.", "JavaScript's: import nothing, and AssemblyScript's own Math is taken"},
	{"env", "document.", "a browser's"},
	{"env", "process.", "Node's: a canister has no arguments, environment, or files"},
	{"ic0", "", "the System API has no such function"},
	{"wasi_snapshot_preview1", "", "WASI preview 1 has no such function"},
	{"env", "", "a symbol that nothing defined when the module was linked: link the library that has it, or declare the module it is imported from"},
}

// ImportAdvice says what to do about a function that cannot be imported.
func ImportAdvice(module, name string, isWide bool) string {
	key := importName{module, name}
	switch {
	case isWide && narrow.index[key] != nil && module == "ic0":
		return "only modules with a 32-bit memory have it"
	case isWide && narrow.index[key] != nil:
		return "only modules with a 32-bit memory may import " + module
	case !isWide && wide.index[key] != nil:
		return "only modules with a 64-bit memory have it"
	}
	for _, a := range advices {
		if strings.HasPrefix(module, a.module) && strings.HasPrefix(name, a.name) {
			return a.advice
		}
	}
	return "a canister may import ic0 and wasi_snapshot_preview1"
}

// Package canister runs one program and keeps its state: it prepares and
// compiles a module, gives it the functions it may import, runs messages as
// transactions over a tracked memory, and names what persists between them.
// It knows nothing of rounds, of Raft, and of files but its own cache.
//
//	module bytes ──Prepare──▶ Program ──Engine.Compile──▶ Module
//	               (package program)      (cached)          │
//	                                              Install or Restore
//	                                                        ▼
//	 Message ──Update──▶ live instance over memstore.Memory ──Commit──▶ State
//	 Message ──Query───▶ an instance of the pool, brought to a State, rolled back
//	                          │ imports
//	                          ▼
//	                 host functions: ic0, wasi_snapshot_preview1, env
//
// # Exports of a module
//
//	canister_update NAME   update method; also spelled canister_update_NAME
//	canister_query NAME    query method; also spelled canister_query_NAME
//	canister_init          run once when installed, with the argument
//	_initialize            of a WASI reactor: run once before canister_init
//
// The spelling with an underscore is for toolchains that cannot put a space
// into an export's name: Go writes
//
//	//go:wasmexport canister_update_put
//	func put() { ... }
//
// for a method named put, AssemblyScript exports a function of that name, and
// C, Rust and Zig can write either. All entry points take and give nothing;
// arguments and replies go through the ic0 functions. canister_pre_upgrade and
// canister_post_upgrade may be exported. A method that is exported in both
// spellings, or as update and query, is refused.
//
// # What a message leaves behind
//
//	Replied, Rejected   the changes to memory and globals
//	NoReply             the changes: returning without an answer is no failure
//	                    of the execution (the Internet Computer answers the
//	                    caller with an error and keeps the state, too)
//	Trapped, OutOfFuel  nothing: bytes, size and globals are as before
//	MethodNotFound      nothing
//
// A query leaves nothing, nor does a query method that is called as an update.
//
// # Invariants
//
//   - State is all that persists. An instance that was restored from a State
//     goes on exactly as one that lived through the messages, whatever tracker,
//     level of optimisation and processor they run on.
//   - Nothing of an Outcome depends on the machine: no addresses, no host
//     errors, no text of the engine's.
//   - An error says that the world failed and that replicas may now differ.
//     Traps are never errors and errors are never traps; the engine's limit on
//     native stack and a growth that the machine cannot satisfy are errors.
//   - Host functions check every pointer against the memory as it is now, and
//     pay with fuel for work that grows with a length.
//
// Host functions are rows of tables (ic0.go, wasi.go, assemblyscript.go): name, type,
// occasions from which they may be called, and what they do. Preparation and
// linking read the same tables.
//
// # Goroutines
//
// The package starts none. Compiling uses threads of the engine's own.
//
// # Sources
//
// The Internet Computer Interface Specification (System API, canister
// lifecycle); WASI preview 1 (witx); the C interface of wasmtime 39.
package canister

// Package canister runs one program and keeps its state: it prepares and
// compiles a module, gives it the functions it may import, runs messages as
// transactions over a tracked memory, and names what persists between them.
// It knows nothing of rounds, of Raft, and of files but its own cache.
//
//	module bytes ──Prepare──▶ Program ──Engine.Compile──▶ Module
//	               (package program)      (cached)          │
//	                                      Install, Upgrade or Restore
//	                                                        ▼
//	 Input ──Execute───▶ live instance over memstore.Memory ──Commit──▶ State
//	 Message ──Query───▶ an instance of the pool, brought to a State, rolled back
//	                          │ imports
//	                          ▼
//	             package systemapi: ic0, wasi_snapshot_preview1, env
//
// # Exports of a module
//
//	canister_update NAME            update method
//	canister_query NAME             query method
//	canister_composite_query NAME   query method that may call others
//	canister_init                   run once when installed, with the argument
//	canister_pre_upgrade            of the old module, before an upgrade
//	canister_post_upgrade           of the new one, after it, with the argument
//	canister_heartbeat              EntryHeartbeat
//	canister_global_timer           EntryTimer
//	canister_inspect_message        EntryInspect
//	_initialize                     of a WASI reactor: run once before canister_init
//	                                or canister_post_upgrade
//
// The space in the first three may be written as an underscore, for toolchains
// that cannot put a space into an export's name: Go writes
//
//	//go:wasmexport canister_update_put
//	func put() { ... }
//
// for a method named put, AssemblyScript exports a function of that name, and
// C, Rust and Zig can write either. All entry points take and give nothing;
// arguments and replies go through the ic0 functions. A method that is exported
// twice, under whatever kind or spelling, is refused.
//
// A module that has a table of functions can be called back: the first table's
// function at an index, with a number as wide as the memory's addresses.
//
// # What an execution leaves behind
//
//	Replied, Rejected   the changes to memory, globals, stable memory and
//	                    certified data; calls and the global timer take effect
//	NoReply             the same: returning without an answer is no failure
//	Trapped, OutOfFuel  nothing: all is as before
//	MethodNotFound      nothing
//
// A query leaves nothing, nor does a query method that is called as an update,
// nor canister_inspect_message.
//
// Who calls whom, in which order, and what becomes of a call that was never
// answered is the state machine's affair: this package runs one execution at a
// time and hands out the calls that it wants made. A callback that traps leaves
// nothing; its cleanup callback is an execution of its own.
//
// # Stable memory
//
// A second memory that upgrades keep, of pages in the memstore.Store like the
// other. Executions reach it through host functions only, so no tracker is
// needed: what they write is kept aside in the heap, at most 512 MiB, and
// compared with the version when the execution ends. It costs the pages that
// are touched, in time and in fuel.
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
//   - An upgrade replaces a canister or leaves it as it was.
//   - Host functions check every address against the memory as it is now, and
//     pay with fuel for the call and for work that grows with a length.
//
// Preparation and linking read the same tables of host functions.
//
// # Without cgo
//
// The engine is a C library. A program that is built without cgo has what is above, and nocgo.go in place of the engine and of live
// canisters: every call that would run a module gives an error.
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

// Package program prepares a WebAssembly module for life as a canister. It
// reads the binary format, refuses what a replica could not carry from one
// instance to the next, and writes a module whose whole mutable state can be
// seen and set from outside. It is plain Go: no engine, no cgo.
//
//	original bytes ──decode──▶ module ──check──▶ rewrite ──encode──▶ Program
//	                             │        │         │                 Wasm, Methods,
//	                  bounded reader   refusals   bodies              Globals, Segments
//
// What preparation changes:
//
//   - Every mutable global is exported under a reserved name, so that private
//     ones are part of the state too.
//   - The start function leaves the start section and is exported under a
//     reserved name. It runs once, when the canister is installed.
//   - Active data segments leave the module (their place is kept by an empty
//     passive segment); the installer writes them into memory once.
//   - data.drop and elem.drop do nothing. After data.drop a later memory.init
//     still finds the segment: a dropped segment is state that no instance can
//     be given, so it does not exist here. This is the one instruction whose
//     meaning differs from the WebAssembly specification.
//   - The memory's maximum is the smaller of the declared one and the
//     replicated limit, so growing is decided by agreement. Should the engine
//     refuse a growth that the limit allows, the helper that replaces
//     memory.grow says so in the depth global and stops: that host is short of
//     memory, and no canister may see it.
//   - memory.copy, memory.fill and memory.init first spend fuel in proportion
//     to their length, 5 units per 128 bytes and more on 64-bit memories, since
//     the engine charges 1.
//   - Each function that calls others counts its weight in the depth global
//     while it runs, and stops when the sum passes the limit. Weight is a
//     function of the code alone (see weight.go), so the same call stops on
//     every replica, whatever the compiler made of it.
//   - A module that imports a function that waits gets a global for its clock.
//   - A module with a table of functions gets one more function, by which the
//     host calls the one at an index.
//   - Custom sections are dropped; those of the Internet Computer's toolchains
//     (icp:public, icp:private) are kept beside the module.
//
// Refused, each with its reason and place: instructions that write tables,
// threads and shared memory, more than one memory, imported memories, tables
// and globals, mutable globals holding references, relaxed SIMD, garbage collection, exceptions, function references, unknown
// imports (all of them are listed), reserved export names, entry points of a
// wrong type, a method exported twice, metadata that is both or neither of public and private, functions and modules that a compiler would take too long for (see
// work.go), and modules over the size limits. Names of the module's
// own are quoted and cut in reasons.
//
// Invariants:
//
//   - Prepare is a pure function of its arguments, error text included: a
//     refused module is refused on every replica in the same words.
//   - No input makes it panic or allocate more than a small multiple of the
//     input's length; a count is bounded by the bytes left before it is used.
//   - Indices of functions, globals, tables and segments keep their values;
//     everything added comes last.
//
// Prepare checks what it relies on, above all that no index reaches what it
// adds, and leaves full validation to the engine, which must be shown the
// original as well as the prepared module before it compiles it.
//
// Sources: WebAssembly Core Specification 2.0 §5 (binary format) and §3
// (validation); the tail call and extended constant expression proposals; the
// Internet Computer's interface specification for entry points and limits.
package program

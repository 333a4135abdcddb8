// Package systemapi is what canisters may import: the System API of the
// Internet Computer (ic0), WASI preview 1, and the few functions that
// AssemblyScript wants. It is tables of functions, each a row of name, type,
// the occasions from which it may be called, and what it does. It knows nothing
// of the engine.
//
//	engine ──Dispatch(Func, words)──▶ Host ──▶ Machine: memory, fuel, clock, stable memory
//	                                   │
//	                                   └──▶ Effects: answer, calls, timer, certified data
//
// A module with a 64-bit memory has the same System API with i64 for every
// address and size; the older functions with 32-bit stable memory and 64-bit
// amounts of cycles, WASI, and AssemblyScript's functions are for modules with
// a 32-bit memory.
//
// # Rules
//
//   - Every address is checked against the memory as it is now, without
//     wrapping; work that grows with a length is paid with fuel.
//   - Called from the wrong occasion a function traps, and so it does where the
//     specification says so. A trap's text is the same on every replica.
//   - What belongs to a blockchain answers "none": no cycles (amounts are 0,
//     sending some traps), no certificate, no root key, no threshold keys, no
//     environment variables, an unnamed subnet.
//   - debug_print and trap take any address.
//
// # AssemblyScript
//
// The module env has what its compiler binds by default: abort, seed, trace,
// Date.now, performance.now, process.exit and console. What prints goes to the
// canister's log; time is the round's. Imports that there are none of come with
// advice (ImportAdvice).
//
// # WASI
//
// The world behind WASI has a clock that stands at the round's time, randomness
// made from the round and the message, standard output and error that go to
// the canister's log, an empty standard input, and nothing else: no arguments,
// environment, files, folders or sockets. No mathematical functions are
// offered: a module brings its own, which are the same on every processor.
//
// Deviations: to wait takes no time, it sets the canister's clock forward, where
// it stays until the rounds have caught up; waiting for nothing that can happen
// traps; proc_exit traps whatever the code; addresses outside memory give
// EFAULT.
//
// # Sources
//
// The Internet Computer Interface Specification, System API; WASI preview 1
// (witx).
package systemapi

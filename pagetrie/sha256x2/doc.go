// Package sha256x2 computes two SHA-256 digests (FIPS 180-4) in little more than the time of one.
//
//	message a  ──[rounds 0,1]──────────────[rounds 2,3]──────────────▶ digest of a
//	message b  ──────────────[rounds 0,1]──────────────[rounds 2,3]──▶ digest of b
//
// The SHA instructions of amd64 take several cycles from operand to result, every pair of rounds needs the result of the
// pair before, and the processor could begin the next one sooner. So one message alone leaves the unit idle about half of
// the time, and a second, independent message fits in between. Digests are those of crypto/sha256, bit for bit.
//
// Without the instructions, on other processors, and with the build tag purego, everything is done by crypto/sha256,
// one message after the other.
//
// Sources: FIPS 180-4, sections 5.1.1 (padding), 5.3.3 (first state) and 6.2; "Intel SHA Extensions", white paper, 2013,
// for how the instructions are chained.
package sha256x2

// Package candid turns the text form of Candid values into bytes and back, and
// reads service descriptions, for people at a command line.
//
//	(42, "text")  ──Encode──▶  DIDL ‖ type table ‖ types ‖ values  ──Decode──▶  (42 : nat, "text")
//	                 ▲ types of the arguments                           ▲ names of fields
//	                 └──────────── Service ◀──Parse── .did ─────────────┘
//
// All types are known: the primitive ones, opt, vec, record, variant, func,
// service and principal, recursive ones too. Encode follows the types that a
// service asks for; without them it takes an integer to be an int, as the
// Candid tools do, unless the text says otherwise (5 : nat). Decode does no
// subtyping: it prints what was sent, each number with its type.
//
// Bytes come from canisters and text from people: no input makes the package
// panic, recurse without bound or allocate much more than its length.
//
// Source: the Candid specification (dfinity/candid, spec/Candid.md).
package candid

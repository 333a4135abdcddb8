// The state of a message in the order of FIPS 180-4 in memory, and in two registers as SHA256RNDS2 wants it: from the
// highest word, A B E F and C D G H. X13 is scratch.

// LOAD brings the 8 words at state into the two registers the instructions want.
#define LOAD(state, ABEF, CDGH) \
	VPSHUFD  $0xb1, (state), CDGH       \ // C D A B, from the highest word
	VPSHUFD  $0x1b, 16(state), ABEF     \ // E F G H
	VPALIGNR $8, ABEF, CDGH, X13        \ // A B E F
	VPBLENDW $0xf0, CDGH, ABEF, CDGH    \ // C D G H
	VMOVDQA  X13, ABEF

// STORE is its inverse.
#define STORE(state, ABEF, CDGH) \
	VPSHUFD  $0x1b, ABEF, ABEF          \ // F E B A
	VPSHUFD  $0xb1, CDGH, CDGH          \ // D C H G
	VPBLENDW $0xf0, CDGH, ABEF, X13     \ // D C B A
	VPALIGNR $8, ABEF, CDGH, CDGH       \ // H G F E
	VMOVDQU  X13, (state)               \
	VMOVDQU  CDGH, 16(state)

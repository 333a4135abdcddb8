//go:build amd64 && !purego

#include "textflag.h"
#include "state_amd64.h"

// With two messages the unit of SHA256RNDS2 is busy, and on Intel processors it also does SHA256MSG1 and SHA256MSG2. Here
// the message schedule of both is computed by ordinary vector instructions, message a in the low half of a register and b
// in the high half, so that the unit is left to the rounds. The rounds find the schedule words, constants already added,
// on the stack. It takes AVX-512 for rotations, three-way exclusive or and the upper 16 registers.
//
// Y16 and up alone are used beside the SHA instructions, which have no VEX form: so no upper halves that they would have
// to preserve are ever in use.

// SCHEDULE turns W[t..t+15], in M0 to M3, into W[t+4..t+19]: the oldest words, in M0, become the newest (FIPS 180-4,
// section 6.2.2, step 1).
#define SCHEDULE(M0, M1, M2, M3) \
	VPALIGNR      $4, M0, M1, Y24          \ // sigma0 of W[t+1..t+4]
	VPRORD        $7, Y24, Y25             \
	VPRORD        $18, Y24, Y26            \
	VPSRLD        $3, Y24, Y24             \
	VPTERNLOGD    $0x96, Y25, Y26, Y24     \
	VPALIGNR      $4, M2, M3, Y25          \ // W[t+9..t+12]
	VPADDD        Y24, M0, M0              \
	VPADDD        Y25, M0, M0              \
	VPSHUFD       $0x0e, M3, Y24           \ // sigma1 of W[t+14], W[t+15]
	VPRORD        $17, Y24, Y25            \
	VPRORD        $19, Y24, Y26            \
	VPSRLD        $10, Y24, Y24            \
	VPTERNLOGD.Z  $0x96, Y25, Y26, K1, Y24 \
	VPADDD        Y24, M0, M0              \
	VPSHUFD       $0x40, M0, Y24           \ // sigma1 of the two words just completed
	VPRORD        $17, Y24, Y25            \
	VPRORD        $19, Y24, Y26            \
	VPSRLD        $10, Y24, Y24            \
	VPTERNLOGD.Z  $0x96, Y25, Y26, K2, Y24 \
	VPADDD        Y24, M0, M0

// KEEP adds the constants of 4 rounds to M and leaves the sum on the stack.
#define KEEP(t, M) \
	VBROADCASTI32X4 4*t(AX), Y27     \
	VPADDD          M, Y27, Y27      \
	VMOVDQU32       Y27, 8*t(SP)

// FETCH loads 16 bytes of both messages as 4 words each.
#define FETCH(at, M) \
	VMOVDQU32    at(SI), X24             \
	VINSERTI32X4 $1, at(DX), Y24, Y24    \
	VPSHUFB      Y28, Y24, M

// ROUNDS are 4 rounds of both messages.
#define ROUNDS(t) \
	VMOVQ       (8*t+0)(SP), X0   \
	SHA256RNDS2 X0, X1, X2        \
	VMOVQ       (8*t+16)(SP), X0  \
	SHA256RNDS2 X0, X7, X8        \
	VMOVQ       (8*t+8)(SP), X0   \
	SHA256RNDS2 X0, X2, X1        \
	VMOVQ       (8*t+24)(SP), X0  \
	SHA256RNDS2 X0, X8, X7

#define STEP(t, M0, M1, M2, M3) \
	SCHEDULE(M0, M1, M2, M3) \
	KEEP((t+16), M0)         \
	ROUNDS(t)

// func blocks2Wide(a, b *[8]uint32, p, q *byte, n int)
TEXT ·blocks2Wide(SB), NOSPLIT, $512-40
	MOVQ a+0(FP), DI
	MOVQ b+8(FP), BX
	MOVQ p+16(FP), SI
	MOVQ q+24(FP), DX
	MOVQ n+32(FP), CX
	LEAQ ·constants(SB), AX
	VBROADCASTI32X4 ·flip(SB), Y28
	MOVL $0x33, R8
	KMOVW R8, K1
	MOVL $0xcc, R8
	KMOVW R8, K2
	LOAD(DI, X1, X2)
	LOAD(BX, X7, X8)

next:
	VMOVDQA X1, X3
	VMOVDQA X2, X4
	VMOVDQA X7, X5
	VMOVDQA X8, X6

	FETCH(0, Y16)
	FETCH(16, Y17)
	FETCH(32, Y18)
	FETCH(48, Y19)
	KEEP(0, Y16)
	KEEP(4, Y17)
	KEEP(8, Y18)
	KEEP(12, Y19)
	STEP(0, Y16, Y17, Y18, Y19)
	STEP(4, Y17, Y18, Y19, Y16)
	STEP(8, Y18, Y19, Y16, Y17)
	STEP(12, Y19, Y16, Y17, Y18)
	STEP(16, Y16, Y17, Y18, Y19)
	STEP(20, Y17, Y18, Y19, Y16)
	STEP(24, Y18, Y19, Y16, Y17)
	STEP(28, Y19, Y16, Y17, Y18)
	STEP(32, Y16, Y17, Y18, Y19)
	STEP(36, Y17, Y18, Y19, Y16)
	STEP(40, Y18, Y19, Y16, Y17)
	STEP(44, Y19, Y16, Y17, Y18)
	ROUNDS(48)
	ROUNDS(52)
	ROUNDS(56)
	ROUNDS(60)

	VPADDD X3, X1, X1
	VPADDD X4, X2, X2
	VPADDD X5, X7, X7
	VPADDD X6, X8, X8
	ADDQ $64, SI
	ADDQ $64, DX
	DECQ CX
	JNZ  next

	STORE(DI, X1, X2)
	STORE(BX, X7, X8)
	RET

//go:build amd64 && !purego

#include "textflag.h"
#include "state_amd64.h"

// The SHA instructions do two rounds at a time, and each pair waits for the one before: one message leaves the unit idle
// half of the time. Here the rounds of two messages alternate.
//
// The way the instructions are chained follows the Intel SHA Extensions white paper (2013). A message has its state in
// two registers and its last 16 schedule words in four.

// FETCH loads 4 big-endian words of the message.
#define FETCH(at, msg, M) \
	VMOVDQU at(msg), M \
	VPSHUFB X14, M, M

// FIRST and LAST are two rounds each: words 0 and 1, then 2 and 3, of M with the constants at k(AX).
#define FIRST(k, M, ABEF, CDGH) \
	VPADDD      k(AX), M, X0   \
	SHA256RNDS2 X0, ABEF, CDGH

#define LAST(ABEF, CDGH) \
	VPSHUFD     $0x0e, X0, X0  \
	SHA256RNDS2 X0, CDGH, ABEF

// NEXT completes the schedule words that follow those in M: MN has had MSG1, MP are the words before M.
#define NEXT(MP, M, MN, T) \
	VPALIGNR   $4, MP, M, T    \
	VPADDD     T, MN, MN       \
	SHA256MSG2 M, MN

// Message A has its state in X1, X2 and its words in X3 to X6; message B in X7, X8 and X9 to X12. X0 is the operand that
// SHA256RNDS2 implies, X13 and X15 are scratch, X14 is the byte order.

#define HEAD(k, at, MA, MB) \
	FETCH(at, SI, MA)          \
	FETCH(at, DX, MB)          \
	FIRST(k, MA, X1, X2)       \
	LAST(X1, X2)               \
	FIRST(k, MB, X7, X8)       \
	LAST(X7, X8)

// BODY: 4 rounds, the words after next begun and the next ones completed.
#define BODY(k, PA, MA, NA, PB, MB, NB) \
	FIRST(k, MA, X1, X2)       \
	NEXT(PA, MA, NA, X13)      \
	LAST(X1, X2)               \
	FIRST(k, MB, X7, X8)       \
	NEXT(PB, MB, NB, X15)      \
	LAST(X7, X8)               \
	SHA256MSG1 MA, PA          \
	SHA256MSG1 MB, PB

// TAIL is BODY for the last words: nothing is to be begun.
#define TAIL(k, PA, MA, NA, PB, MB, NB) \
	FIRST(k, MA, X1, X2)       \
	NEXT(PA, MA, NA, X13)      \
	LAST(X1, X2)               \
	FIRST(k, MB, X7, X8)       \
	NEXT(PB, MB, NB, X15)      \
	LAST(X7, X8)

// func blocks2(a, b *[8]uint32, p, q *byte, n int)
TEXT ·blocks2(SB), NOSPLIT, $64-40
	MOVQ a+0(FP), DI
	MOVQ b+8(FP), BX
	MOVQ p+16(FP), SI
	MOVQ q+24(FP), DX
	MOVQ n+32(FP), CX
	LEAQ ·constants(SB), AX
	VMOVDQU ·flip(SB), X14
	LOAD(DI, X1, X2)
	LOAD(BX, X7, X8)

next:
	VMOVDQU X1, 0(SP)
	VMOVDQU X2, 16(SP)
	VMOVDQU X7, 32(SP)
	VMOVDQU X8, 48(SP)

	HEAD(0, 0, X3, X9)
	HEAD(16, 16, X4, X10)
	SHA256MSG1 X4, X3
	SHA256MSG1 X10, X9
	HEAD(32, 32, X5, X11)
	SHA256MSG1 X5, X4
	SHA256MSG1 X11, X10
	FETCH(48, SI, X6)
	FETCH(48, DX, X12)
	BODY(48, X5, X6, X3, X11, X12, X9)
	BODY(64, X6, X3, X4, X12, X9, X10)
	BODY(80, X3, X4, X5, X9, X10, X11)
	BODY(96, X4, X5, X6, X10, X11, X12)
	BODY(112, X5, X6, X3, X11, X12, X9)
	BODY(128, X6, X3, X4, X12, X9, X10)
	BODY(144, X3, X4, X5, X9, X10, X11)
	BODY(160, X4, X5, X6, X10, X11, X12)
	BODY(176, X5, X6, X3, X11, X12, X9)
	BODY(192, X6, X3, X4, X12, X9, X10)
	TAIL(208, X3, X4, X5, X9, X10, X11)
	TAIL(224, X4, X5, X6, X10, X11, X12)
	FIRST(240, X6, X1, X2)
	LAST(X1, X2)
	FIRST(240, X12, X7, X8)
	LAST(X7, X8)

	VPADDD 0(SP), X1, X1
	VPADDD 16(SP), X2, X2
	VPADDD 32(SP), X7, X7
	VPADDD 48(SP), X8, X8
	ADDQ $64, SI
	ADDQ $64, DX
	DECQ CX
	JNZ  next

	STORE(DI, X1, X2)
	STORE(BX, X7, X8)
	RET

#define HEAD1(k, at, M) \
	FETCH(at, SI, M)           \
	FIRST(k, M, X1, X2)        \
	LAST(X1, X2)

#define BODY1(k, P, M, N) \
	FIRST(k, M, X1, X2)        \
	NEXT(P, M, N, X13)         \
	LAST(X1, X2)               \
	SHA256MSG1 M, P

#define TAIL1(k, P, M, N) \
	FIRST(k, M, X1, X2)        \
	NEXT(P, M, N, X13)         \
	LAST(X1, X2)

// func blocks1(a *[8]uint32, p *byte, n int)
TEXT ·blocks1(SB), NOSPLIT, $0-24
	MOVQ a+0(FP), DI
	MOVQ p+8(FP), SI
	MOVQ n+16(FP), CX
	LEAQ ·constants(SB), AX
	VMOVDQU ·flip(SB), X14
	LOAD(DI, X1, X2)

next:
	VMOVDQA X1, X7
	VMOVDQA X2, X8

	HEAD1(0, 0, X3)
	HEAD1(16, 16, X4)
	SHA256MSG1 X4, X3
	HEAD1(32, 32, X5)
	SHA256MSG1 X5, X4
	FETCH(48, SI, X6)
	BODY1(48, X5, X6, X3)
	BODY1(64, X6, X3, X4)
	BODY1(80, X3, X4, X5)
	BODY1(96, X4, X5, X6)
	BODY1(112, X5, X6, X3)
	BODY1(128, X6, X3, X4)
	BODY1(144, X3, X4, X5)
	BODY1(160, X4, X5, X6)
	BODY1(176, X5, X6, X3)
	BODY1(192, X6, X3, X4)
	TAIL1(208, X3, X4, X5)
	TAIL1(224, X4, X5, X6)
	FIRST(240, X6, X1, X2)
	LAST(X1, X2)

	VPADDD X7, X1, X1
	VPADDD X8, X2, X2
	ADDQ $64, SI
	DECQ CX
	JNZ  next

	STORE(DI, X1, X2)
	RET

// flip turns the bytes of each of 4 words round.
DATA ·flip+0(SB)/8, $0x0405060700010203
DATA ·flip+8(SB)/8, $0x0c0d0e0f08090a0b
GLOBL ·flip(SB), RODATA|NOPTR, $16

// constants are the round constants of FIPS 180-4, section 4.2.2, two to a line.
DATA ·constants+0(SB)/8, $0x71374491428a2f98
DATA ·constants+8(SB)/8, $0xe9b5dba5b5c0fbcf
DATA ·constants+16(SB)/8, $0x59f111f13956c25b
DATA ·constants+24(SB)/8, $0xab1c5ed5923f82a4
DATA ·constants+32(SB)/8, $0x12835b01d807aa98
DATA ·constants+40(SB)/8, $0x550c7dc3243185be
DATA ·constants+48(SB)/8, $0x80deb1fe72be5d74
DATA ·constants+56(SB)/8, $0xc19bf1749bdc06a7
DATA ·constants+64(SB)/8, $0xefbe4786e49b69c1
DATA ·constants+72(SB)/8, $0x240ca1cc0fc19dc6
DATA ·constants+80(SB)/8, $0x4a7484aa2de92c6f
DATA ·constants+88(SB)/8, $0x76f988da5cb0a9dc
DATA ·constants+96(SB)/8, $0xa831c66d983e5152
DATA ·constants+104(SB)/8, $0xbf597fc7b00327c8
DATA ·constants+112(SB)/8, $0xd5a79147c6e00bf3
DATA ·constants+120(SB)/8, $0x1429296706ca6351
DATA ·constants+128(SB)/8, $0x2e1b213827b70a85
DATA ·constants+136(SB)/8, $0x53380d134d2c6dfc
DATA ·constants+144(SB)/8, $0x766a0abb650a7354
DATA ·constants+152(SB)/8, $0x92722c8581c2c92e
DATA ·constants+160(SB)/8, $0xa81a664ba2bfe8a1
DATA ·constants+168(SB)/8, $0xc76c51a3c24b8b70
DATA ·constants+176(SB)/8, $0xd6990624d192e819
DATA ·constants+184(SB)/8, $0x106aa070f40e3585
DATA ·constants+192(SB)/8, $0x1e376c0819a4c116
DATA ·constants+200(SB)/8, $0x34b0bcb52748774c
DATA ·constants+208(SB)/8, $0x4ed8aa4a391c0cb3
DATA ·constants+216(SB)/8, $0x682e6ff35b9cca4f
DATA ·constants+224(SB)/8, $0x78a5636f748f82ee
DATA ·constants+232(SB)/8, $0x8cc7020884c87814
DATA ·constants+240(SB)/8, $0xa4506ceb90befffa
DATA ·constants+248(SB)/8, $0xc67178f2bef9a3f7
GLOBL ·constants(SB), RODATA|NOPTR, $256

#include "textflag.h"

// func first(a, b, nextA, nextB *byte) int
TEXT ·first(SB), NOSPLIT, $0-40
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DI
	MOVQ nextA+16(FP), R8
	MOVQ nextB+24(FP), R9
	XORQ AX, AX             // offset in the page

line:
	VMOVDQU   (SI)(AX*1), Y0
	VMOVDQU   32(SI)(AX*1), Y1
	PREFETCHT0 (R8)(AX*1)
	VPXOR     (DI)(AX*1), Y0, Y0
	VPXOR     32(DI)(AX*1), Y1, Y1
	PREFETCHT0 (R9)(AX*1)
	VPOR      Y0, Y1, Y0
	VPTEST    Y0, Y0
	JNZ       done
	ADDQ      $64, AX
	CMPQ      AX, $4096
	JNE       line

done:
	VZEROUPPER
	SHRQ $6, AX
	MOVQ AX, ret+32(FP)
	RET

//go:build amd64 && !purego

package sha256x2

var accelerated = detect()

// detect reports whether the processor has the instructions that the assembly uses, and the operating system keeps the
// registers of AVX (Intel 64 manual, volume 1, section 14.3; volume 2, CPUID).
func detect() bool {
	const (
		ssse3, sse41, osxsave, avx = 1 << 9, 1 << 19, 1 << 27, 1 << 28 // leaf 1, ECX
		sha                        = 1 << 29                           // leaf 7, EBX
		xmm, ymm                   = 1 << 1, 1 << 2                    // XCR0
	)
	most, _, _, _ := cpuid(0, 0)
	if most < 7 {
		return false
	}
	if _, _, ecx, _ := cpuid(1, 0); ecx&(ssse3|sse41|osxsave|avx) != ssse3|sse41|osxsave|avx {
		return false
	}
	if _, ebx, _, _ := cpuid(7, 0); ebx&sha == 0 {
		return false
	}
	return xgetbv()&(xmm|ymm) == xmm|ymm
}

func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// xgetbv returns the low half of XCR0.
func xgetbv() (eax uint32)

// blocks2 runs the compression function over n blocks of 64 bytes at p into a and, at the same time, over n blocks at q
// into b. Preconditions: n > 0.
//
//go:noescape
func blocks2(a, b *[8]uint32, p, q *byte, n int)

// blocks1 is blocks2 for one message.
//
//go:noescape
func blocks1(a *[8]uint32, p *byte, n int)

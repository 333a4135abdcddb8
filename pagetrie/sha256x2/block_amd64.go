//go:build amd64 && !purego

package sha256x2

var accelerated, wide = detect()

// detect reports whether the processor has the instructions of blocks2 and of blocks2Wide, and the operating system keeps
// the registers they use (Intel 64 manual, volume 1, sections 14.3 and 15.2; volume 2, CPUID).
func detect() (sha, wide bool) {
	const (
		ssse3, sse41, osxsave, avx = 1 << 9, 1 << 19, 1 << 27, 1 << 28 // leaf 1, ECX
		leaf1                      = ssse3 | sse41 | osxsave | avx
		avx512f, shani             = 1 << 16, 1 << 29 // leaf 7, EBX
		avx512bw, avx512vl         = 1 << 30, 1 << 31
		leaf7                      = avx512f | avx512bw | avx512vl
		xmm, ymm                   = 1 << 1, 1 << 2 // XCR0
		zmm                        = 1<<5 | 1<<6 | 1<<7
	)
	if most, _, _, _ := cpuid(0, 0); most < 7 {
		return false, false
	}
	if _, _, ecx, _ := cpuid(1, 0); ecx&leaf1 != leaf1 {
		return false, false
	}
	_, ebx, _, _ := cpuid(7, 0)
	kept := xgetbv()
	sha = ebx&shani != 0 && kept&(xmm|ymm) == xmm|ymm
	return sha, sha && ebx&leaf7 == leaf7 && kept&zmm == zmm
}

func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// xgetbv returns the low half of XCR0.
func xgetbv() (eax uint32)

// blocks2 runs the compression function over n blocks of 64 bytes at p into a and, at the same time, over n blocks at q
// into b. Preconditions: n > 0.
//
//go:noescape
func blocks2(a, b *[8]uint32, p, q *byte, n int)

// blocks2Wide is blocks2, quicker, for processors with AVX-512.
//
//go:noescape
func blocks2Wide(a, b *[8]uint32, p, q *byte, n int)

// blocks1 is blocks2 for one message.
//
//go:noescape
func blocks1(a *[8]uint32, p *byte, n int)

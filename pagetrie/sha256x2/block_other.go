//go:build !amd64 || purego

package sha256x2

// Without the instructions every sum is computed by crypto/sha256 before any block is.
const accelerated, wide = false, false

func blocks2(_, _ *[8]uint32, _, _ *byte, _ int) { panic("sha256x2: no SHA instructions") }

func blocks2Wide(_, _ *[8]uint32, _, _ *byte, _ int) { panic("sha256x2: no AVX-512") }

func blocks1(_ *[8]uint32, _ *byte, _ int) { panic("sha256x2: no SHA instructions") }

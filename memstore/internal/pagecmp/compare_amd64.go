package pagecmp

import "golang.org/x/sys/cpu"

var wide = cpu.X86.HasAVX2

// first is First with AVX2.
//
//go:noescape
func first(a, b, nextA, nextB *byte) int

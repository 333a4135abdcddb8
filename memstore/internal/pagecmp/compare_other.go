//go:build !amd64

package pagecmp

const wide = false

func first(_, _, _, _ *byte) int { panic("pagecmp: no wide comparison on this processor") }

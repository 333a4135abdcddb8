//go:build amd64 && !purego

package sha256x2

import "testing"

// TestWithout runs the tests with less of the processor than there is.
func TestWithout(t *testing.T) {
	had := [2]bool{accelerated, wide}
	defer func() { accelerated, wide = had[0], had[1] }()
	for _, c := range []struct {
		name string
		off  func()
	}{
		{"AVX-512", func() { wide = false }},
		{"SHA", func() { accelerated, wide = false, false }},
	} {
		c.off()
		t.Run(c.name+"/lengths", TestLengths)
		t.Run(c.name+"/pages", TestPages)
		t.Run(c.name+"/alignments", TestAlignments)
		t.Run(c.name+"/random", TestRandom)
	}
}

func TestDetect(t *testing.T) {
	if wide && !accelerated {
		t.Error("AVX-512 without SHA")
	}
	t.Logf("SHA %t, AVX-512 %t", accelerated, wide)
}

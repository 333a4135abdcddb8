package pagecmp

import (
	"math/rand/v2"
	"testing"
)

// TestFirst compares pages that differ in nothing, in one bit at every byte, and in two places, at any alignment.
func TestFirst(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	buf := make([]byte, 2*pageSize+128)
	for i := range buf {
		buf[i] = byte(rng.Uint32())
	}
	for _, off := range []int{0, 1, 63} {
		a := buf[off : off+pageSize]
		b := append([]byte(nil), a...)
		check := func(want int) {
			t.Helper()
			if got := First(&a[0], &b[0], &b[0], &a[0]); got != want {
				t.Fatalf("first %d, want %d", got, want)
			}
			if got := plain(&a[0], &b[0]); got != want {
				t.Fatalf("plain %d, want %d", got, want)
			}
		}
		check(Lines)
		for i := range b {
			b[i] ^= 1 << (i & 7)
			check(i / lineSize)
			last := pageSize - 1
			if b[last] ^= 0x80; i < last {
				check(i / lineSize)
			}
			b[last] ^= 0x80
			b[i] ^= 1 << (i & 7)
		}
	}
}

func BenchmarkFirst(b *testing.B) {
	const pages = 1 << 15
	x, y := make([]byte, pages*pageSize), make([]byte, pages*pageSize)
	for i := range x {
		x[i], y[i] = byte(i>>8), byte(i>>8)
	}
	b.SetBytes(2 * pageSize)
	for i := range b.N {
		at, next := i%pages*pageSize, (i+1)%pages*pageSize
		if First(&x[at], &y[at], &x[next], &y[next]) != Lines {
			b.Fatal("differ")
		}
	}
}

func BenchmarkPlain(b *testing.B) {
	const pages = 1 << 15
	x, y := make([]byte, pages*pageSize), make([]byte, pages*pageSize)
	for i := range x {
		x[i], y[i] = byte(i>>8), byte(i>>8)
	}
	b.SetBytes(2 * pageSize)
	for i := range b.N {
		at := i % pages * pageSize
		if plain(&x[at], &y[at]) != Lines {
			b.Fatal("differ")
		}
	}
}

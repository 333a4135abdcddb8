package sha256x2

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func randomBytes(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, n)
	r.Read(b)
	return b
}

func check(t *testing.T, a, b, suffix []byte) {
	t.Helper()
	wantX := sha256.Sum256(append(append([]byte(nil), a...), suffix...))
	wantY := sha256.Sum256(append(append([]byte(nil), b...), suffix...))
	if x, y := SumSuffix2(a, b, suffix); x != wantX || y != wantY {
		t.Fatalf("SumSuffix2 of %d and %d bytes, suffix of %d: %x, %x; want %x, %x", len(a), len(b), len(suffix), x, y, wantX, wantY)
	}
	if len(suffix) > 0 {
		return
	}
	if x, y := Sum2(a, b); x != wantX || y != wantY {
		t.Fatalf("Sum2 of %d and %d bytes: %x, %x; want %x, %x", len(a), len(b), x, y, wantX, wantY)
	}
	var x, y [Size]byte
	a, b = slices.Clip(a), slices.Clip(b) // Pad would write behind them
	SumPadded2(&x, &y, Pad(a), Pad(b))
	if x != wantX || y != wantY {
		t.Fatalf("SumPadded2 of %d and %d bytes: %x, %x; want %x, %x", len(a), len(b), x, y, wantX, wantY)
	}
	if SumPadded(&x, Pad(b)); x != wantY {
		t.Fatalf("SumPadded of %d bytes: %x, want %x", len(b), x, wantY)
	}
}

// TestLengths has every length that a block boundary could treat differently, beside an equal and another length.
func TestLengths(t *testing.T) {
	data := randomBytes(1, 1000)
	for n := range 301 {
		check(t, data[:n:n], data[300:300+n:300+n], nil)
		check(t, data[:n:n], data[301:301+(n*7+5)%301:900], nil)
	}
}

// TestPages: pages and the tags that may stand behind them.
func TestPages(t *testing.T) {
	data := randomBytes(2, 2*4096)
	for n := range MaxSuffix + 1 {
		check(t, data[:4096:4096], data[4096:], data[100:100+n])
	}
}

func TestAlignments(t *testing.T) {
	data := randomBytes(3, 1200)
	for i := range 64 {
		j := (i*37 + 11) % 64
		check(t, data[i:i+320:i+320], data[500+j:500+j+320:500+j+320], nil)
	}
}

func TestRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 2000 {
		data := randomBytes(r.Uint64(), 4000)
		check(t, data[:r.IntN(2000):2000], data[2000:2000+r.IntN(2000)], data[:r.IntN(2)*r.IntN(MaxSuffix+1)])
	}
}

// TestKnownAnswers are the examples of FIPS 180-2, appendix B.
func TestKnownAnswers(t *testing.T) {
	x, y := Sum2([]byte("abc"), []byte("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))
	got := fmt.Sprintf("%x %x", x, y)
	want := "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad " +
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestPadInPlace: the message stays where it is if there is capacity, also if that is not zero.
func TestPadInPlace(t *testing.T) {
	room := randomBytes(5, 400)
	message := append([]byte(nil), room[:100]...)
	padded := Pad(room[:100])
	if &padded[0] != &room[0] || len(padded) != PaddedLen(100) {
		t.Errorf("%d bytes elsewhere: %t", len(padded), &padded[0] != &room[0])
	}
	var x [Size]byte
	if SumPadded(&x, padded); x != sha256.Sum256(message) {
		t.Error("wrong digest")
	}
	if string(unpadded(padded)) != string(message) {
		t.Error("unpadded gives another message")
	}
}

func TestSuffixTooLong(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	SumSuffix2(nil, nil, make([]byte, MaxSuffix+1))
}

func FuzzSum2(f *testing.F) {
	f.Add([]byte("abc"), []byte(""), []byte("tag"))
	f.Add(make([]byte, 64), make([]byte, 55), []byte(nil))
	f.Fuzz(func(t *testing.T, a, b, suffix []byte) {
		check(t, a, b, suffix[:min(len(suffix), MaxSuffix)])
		check(t, a, b, nil)
	})
}

func BenchmarkSum(b *testing.B) {
	for _, n := range []int{55, 119, 247, 311, 4096} {
		p, q := randomBytes(6, n), randomBytes(7, n)
		sum := func(name string, f func() (x, y [Size]byte)) {
			b.Run(fmt.Sprintf("%s/bytes=%d", name, n), func(b *testing.B) {
				var x, y [Size]byte
				for b.Loop() {
					x, y = f()
				}
				if x != sha256.Sum256(p) || y != sha256.Sum256(q) {
					b.Fatal("wrong digest")
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*b.N), "ns/message")
				b.ReportMetric(0, "ns/op")
			})
		}
		sum("crypto", func() (x, y [Size]byte) { return sha256.Sum256(p), sha256.Sum256(q) })
		sum("two", func() (x, y [Size]byte) { return Sum2(p, q) })
		pp, qq := Pad(p), Pad(q)
		sum("two-padded", func() (x, y [Size]byte) {
			SumPadded2(&x, &y, pp, qq)
			return x, y
		})
		sum("one-padded", func() (x, y [Size]byte) {
			SumPadded(&x, pp)
			SumPadded(&y, qq)
			return x, y
		})
	}
}

package sha256x2

import (
	"crypto/sha256"
	"encoding/binary"
)

// Size is the number of bytes of a digest.
const Size = sha256.Size

const (
	blockSize = sha256.BlockSize
	padding   = 1 + 8 // least number of bytes behind a message: the end mark and the length
)

// MaxSuffix is the greatest length of the suffix of [SumSuffix2].
const MaxSuffix = 64

// start is the first state of SHA-256 (FIPS 180-4, section 5.3.3).
var start = [8]uint32{
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
}

// Accelerated reports whether two digests are in fact computed at the same time here.
func Accelerated() bool { return accelerated }

// Sum2 returns the SHA-256 digests of a and b. It gains most if they are of equal length.
func Sum2(a, b []byte) (x, y [Size]byte) { return SumSuffix2(a, b, nil) }

// SumSuffix2 returns the SHA-256 digests of a followed by suffix and of b followed by suffix, without copying more than
// the last, incomplete blocks of a and b.
// Preconditions: len(suffix) <= MaxSuffix.
func SumSuffix2(a, b, suffix []byte) (x, y [Size]byte) {
	if len(suffix) > MaxSuffix {
		panic("sha256x2: suffix too long")
	}
	if !accelerated {
		return sumSuffix(a, suffix), sumSuffix(b, suffix)
	}
	s, t := start, start
	m, n := whole(a), whole(b)
	compress(&s, &t, a[:m], b[:n])
	var ends [2][2*blockSize + MaxSuffix]byte
	compress(&s, &t, end(&ends[0], a[m:], suffix, len(a)), end(&ends[1], b[n:], suffix, len(b)))
	return digest(&s), digest(&t)
}

func sumSuffix(message, suffix []byte) (sum [Size]byte) {
	h := sha256.New()
	h.Write(message)
	h.Write(suffix)
	h.Sum(sum[:0])
	return sum
}

// whole is the number of bytes in complete blocks.
func whole(message []byte) int { return len(message) &^ (blockSize - 1) }

// end puts the last blocks of a message into room: rest and suffix, which are its last bytes, and the padding.
func end(room *[2*blockSize + MaxSuffix]byte, rest, suffix []byte, length int) []byte {
	n := copy(room[:], rest)
	n += copy(room[n:], suffix)
	return pad(room[:n], length+len(suffix))
}

// pad appends to the end of a message of length bytes, in spare capacity that is zero, what FIPS 180-4, section 5.1.1,
// wants behind it.
func pad(last []byte, length int) []byte {
	n := len(last)
	last = last[:PaddedLen(n)]
	last[n] = 0x80
	binary.BigEndian.PutUint64(last[len(last)-8:], uint64(length)*8)
	return last
}

// compress runs both messages, whole blocks, through the compression function: together as far as both go.
func compress(s, t *[8]uint32, a, b []byte) {
	m, n := len(a)/blockSize, len(b)/blockSize
	both := min(m, n)
	switch {
	case both > 0 && wide:
		blocks2Wide(s, t, &a[0], &b[0], both)
	case both > 0:
		blocks2(s, t, &a[0], &b[0], both)
	}
	if m > both {
		blocks1(s, &a[both*blockSize], m-both)
	}
	if n > both {
		blocks1(t, &b[both*blockSize], n-both)
	}
}

func digest(s *[8]uint32) (sum [Size]byte) {
	for i, word := range s {
		binary.BigEndian.PutUint32(sum[4*i:], word)
	}
	return sum
}

package sha256x2

import (
	"crypto/sha256"
	"encoding/binary"
)

// PaddedLen is the length of a message of n bytes with its padding: the least multiple of 64 with 9 bytes to spare.
func PaddedLen(n int) int { return (n + padding + blockSize - 1) &^ (blockSize - 1) }

// Pad appends to a message the padding of SHA-256. If there is capacity for [PaddedLen] bytes it writes behind the message.
func Pad(message []byte) []byte {
	n := len(message)
	size := PaddedLen(n)
	if cap(message) < size {
		message = append(make([]byte, 0, size), message...)
	}
	message = message[:size]
	clear(message[n:])
	message[n] = 0x80
	binary.BigEndian.PutUint64(message[size-8:], uint64(n)*8)
	return message
}

// SumPadded2 puts into x and y the digests of the messages that [Pad] turned into a and b. For short messages this is
// quicker than [Sum2]: nothing is copied.
func SumPadded2(x, y *[Size]byte, a, b []byte) {
	if !accelerated {
		*x, *y = sha256.Sum256(unpadded(a)), sha256.Sum256(unpadded(b))
		return
	}
	s, t := start, start
	compress(&s, &t, a, b)
	*x, *y = digest(&s), digest(&t)
}

// SumPadded is SumPadded2 for one message.
func SumPadded(x *[Size]byte, a []byte) {
	if !accelerated {
		*x = sha256.Sum256(unpadded(a))
		return
	}
	s := start
	blocks1(&s, &a[0], len(a)/blockSize)
	*x = digest(&s)
}

// unpadded is the inverse of Pad.
func unpadded(padded []byte) []byte {
	return padded[:binary.BigEndian.Uint64(padded[len(padded)-8:])/8]
}

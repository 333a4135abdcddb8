package pagecmp

import (
	"bytes"
	"unsafe"
)

const (
	lineSize = 64
	pageSize = Lines * lineSize
)

// plain is First for any processor.
func plain(a, b *byte) int {
	p, q := unsafe.Slice(a, pageSize), unsafe.Slice(b, pageSize)
	if bytes.Equal(p, q) {
		return Lines
	}
	at := 0
	for p[at] == q[at] {
		at++
	}
	return at / lineSize
}

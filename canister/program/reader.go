package program

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Refusal is the reason why a module cannot become a canister. It is a
// function of the module and the configuration alone, so replicas may agree on
// its text.
type Refusal struct {
	Section string // section of the binary, or "" where the module as a whole is meant
	Offset  int    // byte offset in the original module, or -1
	Reason  string
}

func (r *Refusal) Error() string {
	switch {
	case r.Section == "":
		return "module refused: " + r.Reason
	case r.Offset < 0:
		return fmt.Sprintf("module refused: %s section: %s", r.Section, r.Reason)
	}
	return fmt.Sprintf("module refused: %s section, offset %#x: %s", r.Section, r.Offset, r.Reason)
}

func refuse(section, format string, args ...any) error {
	return &Refusal{Section: section, Offset: -1, Reason: fmt.Sprintf(format, args...)}
}

// reader walks over bytes of the module. The first fault is kept in err and
// every later read yields zero values, so a decoder may test err once per item.
type reader struct {
	data    []byte // the whole module
	pos     int
	end     int // reads stop here
	section string
	err     error
}

func (r *reader) failAt(offset int, format string, args ...any) {
	if r.err == nil {
		r.err = &Refusal{Section: r.section, Offset: offset, Reason: fmt.Sprintf(format, args...)}
		r.pos = r.end
	}
}

func (r *reader) fail(format string, args ...any) { r.failAt(r.pos, format, args...) }

func (r *reader) left() int { return r.end - r.pos }

func (r *reader) u8() byte {
	if r.pos >= r.end {
		r.fail("truncated: one more byte expected")
		return 0
	}
	b := r.data[r.pos]
	r.pos++
	return b
}

// take returns the next n bytes of the module itself; the caller copies what
// it wants to change.
func (r *reader) take(n uint64) []byte {
	if n > uint64(r.left()) {
		r.fail("truncated: %d bytes expected, %d left", n, r.left())
		return nil
	}
	b := r.data[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return b
}

func (r *reader) u32() uint32 { return uint32(r.leb(32)) }

// leb reads an unsigned LEB128 of at most the given number of bits.
func (r *reader) leb(bits uint) uint64 {
	start := r.pos
	var v uint64
	for shift := uint(0); ; shift += 7 {
		b := r.u8()
		if r.err != nil {
			return 0
		}
		if shift+7 > bits && uint64(b&0x7f)>>(bits-shift) != 0 || shift >= bits {
			r.failAt(start, "integer does not fit in %d bits", bits)
			return 0
		}
		v |= uint64(b&0x7f) << shift
		if b&0x80 == 0 {
			return v
		}
	}
}

// sleb reads a signed LEB128 of at most the given number of bits.
func (r *reader) sleb(bits uint) int64 {
	start := r.pos
	var v int64
	for shift := uint(0); ; shift += 7 {
		b := r.u8()
		if r.err != nil {
			return 0
		}
		if shift >= bits {
			r.failAt(start, "integer does not fit in %d bits", bits)
			return 0
		}
		v |= int64(b&0x7f) << shift
		if b&0x80 != 0 {
			continue
		}
		if room := 64 - (shift + 7); shift+7 < 64 {
			v = v << room >> room
		}
		if bits < 64 && (v >= 1<<(bits-1) || v < -1<<(bits-1)) {
			r.failAt(start, "integer does not fit in %d bits", bits)
			return 0
		}
		return v
	}
}

// count reads the length of a vector whose items take at least one byte each.
func (r *reader) count(what string, limit int) int {
	at := r.pos
	n := r.u32()
	if r.err == nil && uint64(n) > uint64(limit) {
		r.failAt(at, "%d %s, the limit is %d", n, what, limit)
		return 0
	}
	if r.err == nil && uint64(n) > uint64(r.left()) {
		r.failAt(at, "truncated: %d %s expected, %d bytes left", n, what, r.left())
		return 0
	}
	return int(n)
}

func (r *reader) name() string {
	at := r.pos
	b := r.take(uint64(r.u32()))
	if r.err == nil && !utf8.Valid(b) {
		r.failAt(at, "name is not UTF-8")
	}
	if r.err != nil {
		return ""
	}
	return string(b)
}

func appendU32(b []byte, v uint32) []byte { return binary.AppendUvarint(b, uint64(v)) }

func appendS32(b []byte, v int32) []byte { return appendS64(b, int64(v)) }

func appendS64(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendName(b []byte, s string) []byte {
	return append(appendU32(b, uint32(len(s))), s...)
}

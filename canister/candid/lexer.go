package candid

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokName
	tokNumber
	tokText
	tokMark // punctuation
)

type token struct {
	kind tokenKind
	text string // of a text what it means
	at   int
}

const maxDepth = 200 // of nested values and types

// parser reads tokens. The first fault is kept; from then on it gives the end.
type parser struct {
	src   string
	pos   int
	tok   token
	err   error
	depth int
}

func newParser(src string) *parser {
	p := &parser{src: src}
	p.next()
	return p
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("candid: %s: %s", place(p.src, p.tok.at), fmt.Sprintf(format, args...))
	}
	p.tok = token{at: p.tok.at}
	p.pos = len(p.src)
}

// place names a place in a text for people.
func place(src string, at int) string {
	line := 1 + strings.Count(src[:at], "\n")
	return fmt.Sprintf("line %d, column %d", line, at-strings.LastIndexByte(src[:at], '\n'))
}

// deeper bounds recursion; the caller calls the function that it gives.
func (p *parser) deeper() func() {
	if p.depth++; p.depth > maxDepth {
		p.fail("nested deeper than %d", maxDepth)
	}
	return func() { p.depth-- }
}

// is tells whether a mark or name comes next, and accept takes it.
func (p *parser) is(text string) bool {
	return (p.tok.kind == tokMark || p.tok.kind == tokName) && p.tok.text == text
}

func (p *parser) accept(text string) bool {
	ok := p.is(text)
	if ok {
		p.next()
	}
	return ok
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.fail("%q expected, not %q", text, p.tok.text)
	}
}

func (p *parser) take() token {
	t := p.tok
	p.next()
	return t
}

func (p *parser) next() {
	p.skip()
	p.tok = token{at: p.pos}
	if p.pos == len(p.src) || p.err != nil {
		return
	}
	rest := p.src[p.pos:]
	switch c := rest[0]; {
	case c == '"':
		p.text()
	case isLetter(c):
		p.word(tokName, func(c byte) bool { return isLetter(c) || isDigit(c) })
	case isDigit(c), (c == '-' || c == '+') && len(rest) > 1 && isDigit(rest[1]):
		p.number()
	case strings.HasPrefix(rest, "->"):
		p.tok, p.pos = token{tokMark, "->", p.pos}, p.pos+2
	case strings.IndexByte("(){}[];:,=.", c) >= 0:
		p.tok, p.pos = token{tokMark, rest[:1], p.pos}, p.pos+1
	default:
		r, _ := utf8.DecodeRuneInString(rest)
		p.fail("%q is not part of Candid", r)
	}
}

func isLetter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// skip passes white space and comments.
func (p *parser) skip() {
	for p.pos < len(p.src) {
		rest := p.src[p.pos:]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			p.pos++
		case strings.HasPrefix(rest, "//"):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest)
			}
			p.pos += n
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest, "*/")
			if n < 0 {
				p.tok.at = p.pos
				p.fail("a comment without an end")
				return
			}
			p.pos += n + 2
		default:
			return
		}
	}
}

func (p *parser) word(kind tokenKind, part func(byte) bool) {
	end := p.pos + 1
	for end < len(p.src) && part(p.src[end]) {
		end++
	}
	p.tok, p.pos = token{kind, p.src[p.pos:end], p.pos}, end
}

// number takes digits, underscores, a hexadecimal form, a fraction and an exponent.
func (p *parser) number() {
	hex := strings.HasPrefix(strings.TrimLeft(p.src[p.pos:], "+-"), "0x")
	last := byte('0')
	p.word(tokNumber, func(c byte) bool {
		ok := isDigit(c) || isLetter(c) || c == '.' && !hex || (c == '-' || c == '+') && !hex && last|0x20 == 'e'
		last = c
		return ok
	})
	p.tok.text = strings.ReplaceAll(p.tok.text, "_", "")
}

// text reads a quoted text; it may hold any bytes, of which only blobs make use.
func (p *parser) text() {
	start := p.pos
	var b []byte
	for p.pos++; ; {
		if p.pos >= len(p.src) {
			p.tok.at = start
			p.fail("a text without an end")
			return
		}
		c := p.src[p.pos]
		p.pos++
		if c == '"' {
			break
		}
		if c == '\\' {
			if b = p.escape(b); p.err != nil {
				return
			}
			continue
		}
		b = append(b, c)
	}
	p.tok = token{tokText, string(b), start}
}

var escapes = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', '\\': '\\', '"': '"', '\'': '\''}

func (p *parser) escape(b []byte) []byte {
	rest := p.src[p.pos:]
	if rest == "" {
		return b
	}
	if c, ok := escapes[rest[0]]; ok {
		p.pos++
		return append(b, c)
	}
	if digits, after, ok := strings.Cut(rest, "}"); ok && strings.HasPrefix(rest, "u{") {
		r, err := strconv.ParseUint(strings.ReplaceAll(digits[2:], "_", ""), 16, 32)
		if err == nil && utf8.ValidRune(rune(r)) {
			p.pos = len(p.src) - len(after)
			return utf8.AppendRune(b, rune(r))
		}
	}
	if len(rest) >= 2 {
		if v, err := strconv.ParseUint(rest[:2], 16, 8); err == nil {
			p.pos += 2
			return append(b, byte(v))
		}
	}
	p.tok.at = p.pos
	p.fail("an unknown escape in a text")
	return b
}

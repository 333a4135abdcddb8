package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// screen prints lines that describe the present moment. On a terminal they are written over each other; anywhere else
// each moment is one line.
type screen struct {
	w        io.Writer
	terminal bool
	drawn    int // lines of the present moment on the terminal
}

// newScreen finds out whether w is a terminal that can move its cursor.
func newScreen(w io.Writer) *screen {
	s := &screen{w: w}
	if file, ok := w.(*os.File); ok && os.Getenv("TERM") != "dumb" {
		_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
		s.terminal = err == nil
	}
	return s
}

// Codes of the terminal: up a line, clear to the end of the line, and switches for wrapping long lines.
const (
	cursorUp  = "\x1b[A"
	clearLine = "\x1b[K"
	wrapOff   = "\x1b[?7l"
	wrapOn    = "\x1b[?7h"
)

// show replaces what was shown before.
func (s *screen) show(lines []string) {
	if !s.terminal {
		fmt.Fprintln(s.w, strings.Join(lines, "  |  "))
		return
	}
	var b strings.Builder
	b.WriteString(wrapOff + strings.Repeat(cursorUp, s.drawn))
	height := max(len(lines), s.drawn)
	for i := range height {
		b.WriteString("\r")
		if i < len(lines) {
			b.WriteString(lines[i])
		}
		b.WriteString(clearLine + "\n")
	}
	b.WriteString(wrapOn)
	io.WriteString(s.w, b.String()) // a terminal that is gone sends SIGHUP
	s.drawn = height
}

// settle leaves what is shown where it is: what comes next goes below.
func (s *screen) settle() { s.drawn = 0 }

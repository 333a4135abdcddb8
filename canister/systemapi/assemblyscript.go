package systemapi

import (
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf16"
)

// envFuncs is what AssemblyScript imports beside the System API: its compiler binds to these by default those globals of
// JavaScript's that make sense here. With the WASI shim it imports WASI instead.
var envFuncs = []row{
	{"abort", "iiii", always, envAbort},
	{"seed", ":F", always, envSeed},
	{"trace", "iiFFFFF", always, envTrace},
	{"Date.now", ":F", notInStart, envDateNow},
	{"performance.now", ":F", notInStart, envPerformanceNow},
	{"process.exit", "i", always, envExit},
	{"console.assert", "ii", always, envAssert},
	{"console.log", "i", always, envConsole("")},
	{"console.debug", "i", always, envConsole("Debug: ")},
	{"console.info", "i", always, envConsole("Info: ")},
	{"console.warn", "i", always, envConsole("Warning: ")},
	{"console.error", "i", always, envConsole("Error: ")},
	{"console.time", "i", always, zero},
	{"console.timeLog", "i", always, envTimer},
	{"console.timeEnd", "i", always, envTimer},
}

// envModule is where AssemblyScript looks for them.
const envModule = "env"

// envAbort stops the canister; message and file are strings of the language:
// UTF-16, their length in bytes ahead of them.
func envAbort(h *Host, a []uint64) (uint64, error) {
	message, file := h.utf16(a[0], MaxTrapText/2), h.utf16(a[1], MaxTrapText/4)
	return 0, trapf("abort: %s in %s:%d:%d", message, file, a[2], a[3])
}

// utf16 reads a string of the language's, as much of it as is there and within a bound in bytes.
func (h *Host) utf16(ptr, limit uint64) string {
	if ptr < 4 {
		return ""
	}
	head, err := h.slice(ptr-4, 4)
	if err != nil {
		return ""
	}
	size := min(uint64(binary.LittleEndian.Uint32(head)), limit) &^ 1
	raw, err := h.slice(ptr, size)
	if err != nil {
		return ""
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	return CleanText(string(utf16.Decode(units)), int(limit))
}

// envSeed gives the start of the language's own generator, in [0, 1).
func envSeed(h *Host, _ []uint64) (uint64, error) {
	const bits = 53
	return math.Float64bits(float64(h.rand().Uint64()>>(64-bits)) / (1 << bits)), nil
}

// envTrace prints a text and up to five numbers.
func envTrace(h *Host, a []uint64) (uint64, error) {
	if err := h.charge(maxLogText); err != nil {
		return 0, err
	}
	line := "trace: " + h.utf16(a[0], maxLogText)
	for _, bits := range a[2:][:min(a[1], 5)] {
		line += " " + strconv.FormatFloat(math.Float64frombits(bits), 'g', -1, 64)
	}
	h.print(line)
	return 0, nil
}

// envDateNow is the round's time in milliseconds.
func envDateNow(h *Host, _ []uint64) (uint64, error) {
	return math.Float64bits(float64(h.now() / 1_000_000)), nil
}

// envPerformanceNow is the same time with its fraction. As no time passes in a message, it measures nothing.
func envPerformanceNow(h *Host, _ []uint64) (uint64, error) {
	return math.Float64bits(float64(h.now()) / 1_000_000), nil
}

func envExit(_ *Host, a []uint64) (uint64, error) {
	return 0, Trap("process.exit(" + strconv.Itoa(int(int32(a[0]))) + ")")
}

// logLine prints a text of the canister's between others; it is paid for as a line of the greatest length.
func (h *Host) logLine(before string, text uint64, after string) error {
	if err := h.charge(maxLogText); err != nil {
		return err
	}
	h.print(before + h.utf16(text, maxLogText) + after)
	return nil
}

func envConsole(prefix string) func(*Host, []uint64) (uint64, error) {
	return func(h *Host, a []uint64) (uint64, error) { return 0, h.logLine(prefix, a[0], "") }
}

// envAssert prints, as JavaScript's does, and stops nothing.
func envAssert(h *Host, a []uint64) (uint64, error) {
	if uint32(a[0]) != 0 {
		return 0, nil
	}
	return 0, h.logLine("Assertion failed: ", a[1], "")
}

// envTimer tells how long ago console.time was called: in no message does time pass.
func envTimer(h *Host, a []uint64) (uint64, error) { return 0, h.logLine("", a[0], ": 0ms") }

package systemapi

import (
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf16"
)

// envFuncs is what AssemblyScript imports beside the System API.
var envFuncs = []row{
	{"abort", "iiii", always, envAbort},
	{"seed", ":F", always, envSeed},
	{"trace", "iiFFFFF", always, envTrace},
	{"Date.now", ":F", notInStart, envDateNow},
}

// envModule is where AssemblyScript looks for them.
const envModule = "env"

// envAbort stops the canister; message and file are strings of the language:
// UTF-16, their length in bytes ahead of them.
func envAbort(h *Host, a []uint64) (uint64, error) {
	message, file := h.utf16Text(a[0]), h.utf16Text(a[1])
	return 0, trapf("abort: %s in %s:%d:%d", message, file, a[2], a[3])
}

func (h *Host) utf16Text(ptr uint64) string {
	if ptr < 4 {
		return ""
	}
	head, err := h.slice(ptr-4, 4)
	if err != nil {
		return ""
	}
	size := min(uint64(binary.LittleEndian.Uint32(head)), MaxTrapText) &^ 1
	raw, err := h.slice(ptr, size)
	if err != nil {
		return ""
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	return CleanText(string(utf16.Decode(units)), MaxTrapText/4)
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
	line := "trace: " + h.utf16Text(a[0])
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

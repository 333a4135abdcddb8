package systemapi

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"unicode/utf8"
)

// Bounds on text that leaves a canister, in bytes.
const (
	MaxTrapText = 2 << 10
	maxLogText  = 16 << 10
)

// callCost is what every call costs, in bytes copied: 100 units of fuel. It
// takes the time of about as many instructions.
const callCost = 1600

// Limits is what host functions need of the replicated limits.
type Limits struct {
	ReplyBytes uint64 // of a reply, the message of a reject, and the argument of a call
}

// Host is what the host functions of one instance work on: the execution that
// runs, its effects so far, and the way to memory and fuel. One goroutine uses
// it at a time.
type Host struct {
	machine Machine
	limits  Limits
	x       Execution
	stopped error // why a host function stopped the execution

	effects   Effects
	call      *Call // under construction
	callBytes uint64
	random    *rand.ChaCha8
	words     words
}

// Machine is the running instance as host functions need it.
type Machine interface {
	// Memory is the current contents; valid until the canister runs on.
	Memory() []byte
	Fuel() (uint64, error)
	SetFuel(uint64) error
	// Clock tells how far waiting has brought the clock, 0 if it never waited.
	Clock() int64
	SetClock(int64) error
	Stable() StableMemory
}

// StableMemory is the canister's second memory.
type StableMemory interface {
	Pages() uint64 // of 64 KiB
	// Grow adds pages, zero. It refuses to pass the replicated limit.
	Grow(pages uint64) bool
	// Read and Write copy. Preconditions: the bytes lie within the memory.
	Read(dst []byte, offset uint64)
	// Write gives a Trap if the execution has written too many pages.
	Write(offset uint64, src []byte) error
}

// NewHost makes the host of an instance.
func NewHost(m Machine, l Limits) *Host { return &Host{machine: m, limits: l} }

// Start makes the host ready for an execution. certified is the data that the
// canister has certified.
func (h *Host) Start(x Execution, certified []byte) {
	machine, limits := h.machine, h.limits
	*h = Host{machine: machine, limits: limits, x: x}
	h.effects.CertifiedData = certified
	if x.Occasion == InTask {
		h.x.Env.Caller = nil // the management canister, whose principal has no bytes
	}
}

// Effects are those of the execution so far.
func (h *Host) Effects() Effects { return h.effects }

// Stopped tells why a host function stopped the execution: a Trap or a failure
// of the world.
func (h *Host) Stopped() error { return h.stopped }

// Dispatch runs a host function for the canister. An error must stop the
// execution; it is kept for Stopped.
func (h *Host) Dispatch(f *Func, args []uint64) (uint64, error) {
	var result uint64
	err := h.charge(callCost)
	switch {
	case err != nil:
	case h.x.Occasion&f.Allowed == 0:
		err = trapf("%s.%s may not be called from %s", f.Module, f.Name, h.x.Occasion)
	default:
		result, err = f.call(h, args)
	}
	if err != nil {
		h.stopped = err
	}
	return result, err
}

// slice gives size bytes of memory at ptr. It may be used until the host
// function returns.
func (h *Host) slice(ptr, size uint64) ([]byte, error) {
	mem := h.machine.Memory()
	if ptr > uint64(len(mem)) || size > uint64(len(mem))-ptr {
		return nil, trapf("%d bytes at %d are outside the memory of %d bytes", size, ptr, len(mem))
	}
	return mem[ptr : ptr+size : ptr+size], nil
}

// charge spends fuel for work in proportion to a length, a unit per 16 bytes.
func (h *Host) charge(length uint64) error {
	cost := length / 16
	if cost == 0 {
		return nil
	}
	fuel, err := h.machine.Fuel()
	if err != nil {
		return err
	}
	if fuel < cost {
		if err := h.machine.SetFuel(0); err != nil {
			return err
		}
		return ErrOutOfFuel
	}
	return h.machine.SetFuel(fuel - cost)
}

// bytes is a slice that was paid for.
func (h *Host) bytes(ptr, size uint64) ([]byte, error) {
	mem, err := h.slice(ptr, size)
	if err != nil {
		return nil, err
	}
	return mem, h.charge(size)
}

// utf8 is a text of the canister's that must be one; what names it in a trap.
func (h *Host) utf8(ptr, size uint64, what string) (string, error) {
	mem, err := h.bytes(ptr, size)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(mem) {
		return "", trapf("%s is not UTF-8", what)
	}
	return string(mem), nil
}

// copyOut writes src[offset:offset+size] into memory at dst, as every *_copy
// function of the System API does.
func (h *Host) copyOut(src []byte, dst, offset, size uint64) error {
	if offset > uint64(len(src)) || size > uint64(len(src))-offset {
		return trapf("%d bytes at %d are outside the data of %d bytes", size, offset, len(src))
	}
	mem, err := h.bytes(dst, size)
	if err != nil {
		return err
	}
	copy(mem, src[offset:offset+size])
	return nil
}

// text reads a text of the canister's for people, as much of it as is there
// and within the bound.
func (h *Host) text(ptr, size uint64, limit int) string {
	mem := h.machine.Memory()
	if ptr > uint64(len(mem)) {
		return ""
	}
	size = min(size, uint64(len(mem))-ptr, uint64(limit))
	return CleanText(string(mem[ptr:ptr+size]), limit)
}

// CleanText makes valid UTF-8 of at most limit bytes.
func CleanText(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

func (h *Host) print(text string) {
	if h.x.Env.Log != nil && text != "" {
		h.x.Env.Log(text)
	}
}

// now is the canister's clock: the round's time, unless the canister has waited
// for a later one. It never goes back.
func (h *Host) now() int64 { return max(h.x.Env.Time, h.machine.Clock()) }

// rand is the execution's source of randomness.
func (h *Host) rand() *rand.ChaCha8 {
	if h.random == nil {
		e := &h.x.Env
		b := []byte("lockstep/random/2\n")
		for _, v := range []uint64{e.Canister, e.Round, e.Message, uint64(h.x.Occasion), uint64(h.x.Step)} {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
		h.random = rand.NewChaCha8(sha256.Sum256(append(b, e.Seed[:]...)))
	}
	return h.random
}

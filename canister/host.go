package canister

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"unicode/utf8"
)

// Bounds on text that leaves a canister.
const (
	maxTrapText = 2 << 10
	maxLogText  = 16 << 10
)

// host is what the host functions of one instance work on: the message that
// runs, the answer so far, and the way to memory and fuel.
type host struct {
	machine  machine
	limits   Limits
	fuelAt   uint64 // fuel the execution started with
	env      Env
	occasion occasion
	arg      []byte

	reply   []byte
	answer  Status // 0, Replied or Rejected
	reject  string
	random  *rand.ChaCha8
	stopped error // why a host function stopped the execution
}

// machine is the running instance as host functions need it.
type machine interface {
	memory() []byte // current contents; valid until the canister runs on
	fuel() (uint64, error)
	setFuel(uint64) error
	clock() int64 // how far waiting has brought the clock, 0 if it never waited
	setClock(int64) error
}

// start makes the host ready for one execution.
func (h *host) start(env Env, o occasion, arg []byte) {
	machine, limits := h.machine, h.limits
	*h = host{machine: machine, limits: limits, env: env, occasion: o, arg: arg}
}

// dispatch runs a host function for the canister.
func (h *host) dispatch(f *hostFunc, args []uint64) (uint64, error) {
	if h.occasion&f.allowed == 0 {
		return 0, trapf("%s.%s may not be called from %s", f.module, f.name, h.occasion)
	}
	return f.call(h, args)
}

// slice gives size bytes of memory at ptr. It may be used until the host
// function returns.
func (h *host) slice(ptr, size uint64) ([]byte, error) {
	mem := h.machine.memory()
	if ptr > uint64(len(mem)) || size > uint64(len(mem))-ptr {
		return nil, trapf("%d bytes at %d are outside the memory of %d bytes", size, ptr, len(mem))
	}
	return mem[ptr : ptr+size : ptr+size], nil
}

// charge spends fuel for work in proportion to a length, a unit per 16 bytes.
func (h *host) charge(length uint64) error {
	cost := length / 16
	if cost == 0 {
		return nil
	}
	fuel, err := h.machine.fuel()
	if err != nil {
		return err
	}
	if fuel < cost {
		if err := h.machine.setFuel(0); err != nil {
			return err
		}
		return errOutOfFuel
	}
	return h.machine.setFuel(fuel - cost)
}

// copyOut writes src[offset:offset+size] into memory at dst, as every *_copy
// function of the System API does.
func (h *host) copyOut(src []byte, dst, offset, size uint64) error {
	if offset > uint64(len(src)) || size > uint64(len(src))-offset {
		return trapf("%d bytes at %d are outside the data of %d bytes", size, offset, len(src))
	}
	mem, err := h.slice(dst, size)
	if err != nil {
		return err
	}
	if err := h.charge(size); err != nil {
		return err
	}
	copy(mem, src[offset:offset+size])
	return nil
}

// text reads a text of the canister's for people, as much of it as is there
// and within the bound.
func (h *host) text(ptr, size uint64, limit int) string {
	mem := h.machine.memory()
	if ptr > uint64(len(mem)) {
		return ""
	}
	size = min(size, uint64(len(mem))-ptr, uint64(limit))
	return cleanText(string(mem[ptr:ptr+size]), limit)
}

// cleanText makes valid UTF-8 of at most limit bytes.
func cleanText(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

func (h *host) print(text string) {
	if h.env.Log != nil && text != "" {
		h.env.Log(text)
	}
}

// now is the canister's clock: the round's time, unless the canister has waited
// for a later one. It never goes back.
func (h *host) now() int64 { return max(h.env.Time, h.machine.clock()) }

// rand is the message's source of randomness.
func (h *host) rand() *rand.ChaCha8 {
	if h.random == nil {
		b := []byte("lockstep/random/1\n")
		for _, v := range []uint64{h.env.Canister, h.env.Round, h.env.Message, uint64(h.occasion)} {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
		h.random = rand.NewChaCha8(sha256.Sum256(append(b, h.env.Seed[:]...)))
	}
	return h.random
}

package sim

import (
	"math/rand/v2"
	"sync"
)

// dice are random numbers that several goroutines draw from.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newDice(seed, stream uint64) *dice { return &dice{rng: rand.New(rand.NewPCG(seed, stream))} }

// with lends the generator.
func (d *dice) with(f func(*rand.Rand)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d.rng)
}

// fork gives a generator of its own.
func (d *dice) fork() (r *rand.Rand) {
	d.with(func(from *rand.Rand) { r = rand.New(rand.NewPCG(from.Uint64(), from.Uint64())) })
	return r
}

// randomSource is math/rand/v2's.
type randomSource = rand.Rand

package workload

import (
	"math/bits"
	"math/rand/v2"
)

// randomChoices are the random numbers of one message. They depend on nothing but the key.
type randomChoices struct{ random *rand.Rand }

func newRandomChoices(key uint64) *randomChoices {
	return &randomChoices{random: rand.New(rand.NewPCG(key, scramble(key)))}
}

// chance is true with the probability given.
func (c *randomChoices) chance(probability float64) bool { return c.random.Float64() < probability }

// printable makes text that needs no quoting anywhere: letters and digits.
func (c *randomChoices) printable(size uint64) []byte {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	text := make([]byte, size)
	var word uint64
	for i := range text {
		if i%10 == 0 { // ten letters of six bits to a word
			word = c.random.Uint64()
		}
		text[i], word = letters[word%64], word>>6
	}
	return text
}

// mixSeeds makes one well-spread number of several.
func mixSeeds(numbers ...uint64) uint64 {
	var h uint64
	for _, n := range numbers {
		h = scramble(h ^ n)
	}
	return h
}

// scramble is a bijection of 64-bit numbers that spreads every bit over all others (Steele, Lea & Flood, SplitMix).
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// shuffled returns where position at goes in a shuffle of length positions, without making the others: a four-round Feistel
// network over the next even number of bits, walked until it lands inside (fewer than four steps on average).
//
// Preconditions: at < length.
func shuffled(key, at, length uint64) uint64 {
	half := (bits.Len64(length-1) + 1) / 2
	mask := uint64(1)<<half - 1
	for {
		left, right := at>>half, at&mask
		for round := range uint64(4) {
			left, right = right, left^(mixSeeds(key, round, right)&mask)
		}
		if at = left<<half | right; at < length {
			return at
		}
	}
}

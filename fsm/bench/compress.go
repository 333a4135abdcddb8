package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"lockstep/figure"
	"lockstep/fsm"
)

// compression shows what compressing pages on the wire would bring, and what it costs: pages of a key-value store of text in C as
// real Wasm memory has them, 256 KiB at a time.
func (b *run) compression() (err error) {
	b.config.Progress("compression of a real memory")
	m, err := b.newMachine("compression")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	if err := m.install("kv"); err != nil {
		return err
	}
	for i := range 100 {
		var messages []fsm.Message
		for j := range 100 {
			n := i*100 + j
			messages = append(messages, message("kv", "put", fmt.Sprintf(`user/%d={"name":"user %x","balance":%d,"tags":["a%d","b%d"],"note":"%d bottles"}`, n, n*n*2654435761, n*7919%100000, n%17, n%5, n)))
		}
		if err := m.apply(messages...); err != nil {
			return err
		}
	}
	data, err := m.linear("kv")
	if err != nil {
		return err
	}
	fast, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	defer fast.Close()
	slow, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer slow.Close()
	for _, c := range []struct {
		name   string
		encode func([]byte) []byte
		decode func([]byte) ([]byte, error)
	}{
		{"s2", func(p []byte) []byte { return s2.Encode(nil, p) }, func(p []byte) ([]byte, error) { return s2.Decode(nil, p) }},
		{"zstd, fastest", func(p []byte) []byte { return fast.EncodeAll(p, nil) }, func(p []byte) ([]byte, error) { return slow.DecodeAll(p, nil) }},
	} {
		small, there, back, err := squeeze(data, c.encode, c.decode)
		if err != nil {
			return err
		}
		b.figure(figure.Figure{Work: fmt.Sprintf("%s of %d KiB of a key-value store's pages", c.name, len(data)>>10),
			Measured: fmt.Sprintf("1/%.1f of the bytes, %.0f MiB/s to compress and %.0f to expand on one processor", float64(len(data))/float64(small), rate(len(data), there), rate(len(data), back)),
			Values:   map[string]float64{"ratio": float64(small) / float64(len(data)), "compress MiB/s": rate(len(data), there), "expand MiB/s": rate(len(data), back)}})
	}
	return nil
}

// linear are the pages of a canister's linear memory that are not zero, one behind the other.
func (m *machine) linear(name string) (data []byte, err error) {
	v, err := m.View(context.Background(), fsm.NewestRound)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.Release()) }()
	for _, c := range v.Head().Canisters {
		if c.Name != name {
			continue
		}
		contents, _ := v.Canister(c.ID)
		memory, _ := v.Memory(contents.Memory)
		for page := range memory.Pages.All() {
			bytes, err := v.Page(memory, page)
			if err != nil {
				return nil, err
			}
			data = append(data, bytes...)
		}
	}
	return data, nil
}

// squeeze compresses and expands data in pieces, a few times, and gives the size and the shortest times.
func squeeze(data []byte, encode func([]byte) []byte, decode func([]byte) ([]byte, error)) (small int, there, back time.Duration, err error) {
	const piece = 256 << 10
	for try := range 5 {
		var packed [][]byte
		start := time.Now()
		for at := 0; at < len(data); at += piece {
			packed = append(packed, encode(data[at:min(at+piece, len(data))]))
		}
		took := time.Since(start)
		start = time.Now()
		small = 0
		for i, p := range packed {
			out, err := decode(p)
			if err != nil || len(out) != min(piece, len(data)-i*piece) {
				return 0, 0, 0, errors.Join(errors.New("a compressed piece does not expand to what it was"), err)
			}
			small += len(p)
		}
		if expanded := time.Since(start); try == 0 || took < there {
			there, back = took, expanded
		}
	}
	return small, there, back, nil
}

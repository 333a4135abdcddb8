package workload

import (
	"bytes"
	"fmt"
	"slices"

	"lockstep/fsm"
	"lockstep/testdata"
)

// Limits of a workload file. They bound what a file can make this process hold; what a canister accepts is the cluster's matter.
const (
	// MaxBytes is the size of the file.
	MaxBytes = 64 << 20
	// MaxLines is how many messages and generators it may hold.
	MaxLines = 100_000
	// MaxArgBytes is the size of one message's argument, decoded.
	MaxArgBytes = 2 << 20
	// MaxRepeat bounds "repeat" of a message and "count" of a generator.
	MaxRepeat = 1_000_000_000
	// MaxKeys bounds "keys" of a generator.
	MaxKeys = 1 << 20
	// MaxSkewedKeys bounds the keys of all skewed generators of a file together: each takes eight bytes.
	MaxSkewedKeys = 8 << 20
	// MaxValueBytes bounds "value_bytes" of a generator.
	MaxValueBytes = 1 << 20
	// MaxNameBytes is the length of a canister's or method's name.
	MaxNameBytes = 256
)

// A Message is one call for a client to make. Arg may be shared with other messages and must not be changed.
type Message struct {
	Canister, Method string
	Arg              []byte
	Query            bool     // to be sent as a query, outside the log
	Change           fsm.Kind // if not 0, no method is called: the canister is stopped, started, upgraded …
}

// Replicated is the message as the state machine takes it, outside any session. An installation or upgrade is to the canister's
// own module, which must be among the modules.
func (m *Message) Replicated(modules []Module) (fsm.Message, error) {
	out := fsm.Message{Kind: fsm.KindUpdate, Canister: m.Canister, Method: m.Method, Arg: m.Arg}
	if m.Change == 0 {
		return out, nil
	}
	out = fsm.Message{Kind: m.Change, Canister: m.Canister}
	switch m.Change {
	case fsm.KindInstall, fsm.KindUpgrade, fsm.KindReinstall:
		i := slices.IndexFunc(modules, func(module Module) bool { return module.Name == m.Canister })
		if i < 0 {
			return out, fmt.Errorf("%s of canister %s: its module is not known here", m.Change, m.Canister)
		}
		out.Module = modules[i].Wasm
	}
	return out, nil
}

// Title is the message in a word, for people: kv.put, or bank-b:stop.
func (m *Message) Title() string {
	if m.Change != 0 {
		return m.Canister + ":" + m.Change.String()
	}
	return m.Canister + "." + m.Method
}

// A Workload is a sequence of messages without end: its file's messages in order, generated ones among them, and then from the
// start again with other random choices. Each passage through the file is a pass.
//
// Message i of a seed is always the same and costs no more than the first, so any number of clients can share the sequence
// without talking to each other, and what they send altogether does not depend on how many they are.
//
// A Workload does not change; any goroutine may use it.
type Workload struct {
	name      string
	blocks    []block
	length    uint64 // messages of one pass
	canisters []string
}

// A block is either one message line or a run of generator lines next to each other, whose messages are shuffled together.
type block struct {
	start, length uint64 // in messages of the pass
	parts         []part
}

// A part is one line's share of a block.
type part struct {
	start, length uint64 // in messages of the block, before the shuffle
	line          int
	source        messageSource
}

// A messageSource makes the messages of one line.
type messageSource interface {
	// message makes message n of the line's share of one pass; choices are the random numbers of that message alone.
	message(n uint64, choices *randomChoices) Message
}

// embeddedLimits are those of canisters that would take seconds a message with what every canister has: faulty spins until its fuel is gone.
var embeddedLimits = map[[2]string]string{{"fuel", "faulty"}: "Fuel=300000"}

// Limits are those that a canister of an embedded workload is given, as the text of a fsm.KindLimits; "" if it keeps what every canister has.
func Limits(name, canister string) string { return embeddedLimits[[2]string{name, canister}] }

// Embedded returns a workload that comes with Lockstep. The error for an unknown name lists the names there are.
func Embedded(name string) (*Workload, error) {
	text, err := testdata.Workload(name)
	if err != nil {
		return nil, err
	}
	return Parse(bytes.NewReader(text), name)
}

// Default returns the demonstration: a key-value store with some large memory traffic between.
func Default() *Workload {
	w, err := Embedded("demo")
	if err != nil {
		panic(err) // a test parses it
	}
	return w
}

// Name is what Parse was given.
func (w *Workload) Name() string { return w.name }

// Len is how many messages one pass has; at least 1.
func (w *Workload) Len() uint64 { return w.length }

// Canisters lists the canisters that the messages call, sorted.
func (w *Workload) Canisters() []string { return slices.Clone(w.canisters) }

// Message returns message index of the endless sequence that belongs to the seed.
func (w *Workload) Message(seed, index uint64) Message {
	pass, at := index/w.length, index%w.length
	b, found := slices.BinarySearchFunc(w.blocks, at, func(b block, at uint64) int {
		return compareRange(b.start, b.length, at)
	})
	if !found {
		panic(fmt.Sprintf("workload %s: message %d of %d is in no line", w.name, at, w.length))
	}
	return w.blocks[b].message(mixSeeds(seed, pass, uint64(b)), at-w.blocks[b].start)
}

// Queries returns the first queries of the seed's sequence, at most so many, each as often as it is there. They are looked for among
// the first 4000 messages of a pass.
func (w *Workload) Queries(seed uint64, most int) []Message {
	var queries []Message
	for i := range min(w.length, 4000) {
		if len(queries) == most {
			break
		}
		if m := w.Message(seed, i); m.Query {
			queries = append(queries, m)
		}
	}
	return queries
}

// compareRange orders a range before, at or after a position, as a binary search wants it.
func compareRange(start, length, at uint64) int {
	switch {
	case at < start:
		return 1
	case at-start >= length:
		return -1
	default:
		return 0
	}
}

func (b *block) message(key, at uint64) Message {
	if len(b.parts) > 1 {
		at = shuffled(key, at, b.length)
	}
	i, _ := slices.BinarySearchFunc(b.parts, at, func(p part, at uint64) int {
		return compareRange(p.start, p.length, at)
	})
	p := &b.parts[i]
	n := at - p.start
	return p.source.message(n, newRandomChoices(mixSeeds(key, uint64(p.line), n)))
}

// add puts a line's share at the end: into a block of its own, or with the block before.
func (w *Workload) add(p part, withLast bool) {
	if !withLast {
		w.blocks = append(w.blocks, block{start: w.length})
	}
	last := &w.blocks[len(w.blocks)-1]
	p.start = last.length
	last.parts = append(last.parts, p)
	last.length += p.length
	w.length += p.length
}

// Messages is where a client's messages come from: a *Stream, or what Probe makes. It is for one goroutine.
type Messages interface {
	Next() Message
}

// A Stream is one client's share of a workload's sequence. It is for one goroutine.
type Stream struct {
	workload         *Workload
	seed, next, step uint64
}

// Stream returns the share of client number client of so many: every clients-th message, without end. All clients of a run must
// be given the same seed.
//
// Preconditions: 0 <= client < clients.
func (w *Workload) Stream(seed uint64, client, clients int) *Stream {
	if client < 0 || client >= clients {
		panic(fmt.Sprintf("workload %s: client %d of %d", w.name, client, clients))
	}
	return &Stream{workload: w, seed: seed, next: uint64(client), step: uint64(clients)}
}

// Index is the place in the workload's sequence of the message that Next will return. It passes Workload.Len when the client
// has done its share of the first pass.
func (s *Stream) Index() uint64 { return s.next }

// Next returns the client's next message.
func (s *Stream) Next() Message {
	m := s.workload.Message(s.seed, s.next)
	s.next += s.step
	return m
}

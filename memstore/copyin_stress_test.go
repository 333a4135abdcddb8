//go:build cgo

package memstore

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestCopyInWorker has the store's worker busy while memories run messages, grow, are rolled back, moved to other versions
// and detached, queries run on older versions, and the collector runs.
func TestCopyInWorker(t *testing.T) {
	skipUnavailable(t, TrackerAdaptive)
	before := copyInPages.Load()
	s, err := OpenStore(StoreConfig{CopyIn: CopyInConfig{PerWrite: 512, LeastBytes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	lives, messages := 6, 120
	if testing.Short() {
		lives, messages = 2, 60
	}
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Go(func() {
			for n := range lives {
				if err := liveBesideWorker(s, 100*g+n, messages); err != nil {
					t.Errorf("memory %d of goroutine %d: %v", n, g, err)
					return
				}
			}
		})
	}
	wait.Wait()
	if got := copyInPages.Load(); got != before {
		t.Errorf("%d pages of the process's share are left over", got-before)
	}
	if got := s.Stats(); got.Live != 0 {
		t.Errorf("the store keeps %+v", got)
	}
	if got := s.running.Load(); got != 0 {
		t.Errorf("%d messages count as running", got)
	}
	for working := true; working; runtime.Gosched() { // nothing is left to bring in, so the worker ends
		s.copying.mu.Lock()
		working = s.copying.working
		s.copying.mu.Unlock()
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestCopyInWorkerFinishes waits until the worker has brought in everything of a memory that is left alone.
func TestCopyInWorkerFinishes(t *testing.T) {
	_, e, m := copyInTest(t, CopyInConfig{PerWrite: 1 << 20}, 1024)
	writePages(t, e, m, 1, 5)
	writePages(t, e, m, 2, 5)
	for m.Stats().BroughtIn < 1023 {
		runtime.Gosched()
	}
	if got := writePages(t, e, m, 3, 4, 5, 1000); got != 3 {
		t.Errorf("%d pages changed, want 3", got)
	}
}

// TestCopyInWorkerLeavesMessagesAlone has the worker do nothing while a message of another memory runs.
func TestCopyInWorkerLeavesMessagesAlone(t *testing.T) {
	s, e, m := copyInTest(t, CopyInConfig{PerWrite: 1 << 20}, 1024)
	other, err := newEngine(WasmPageSize, WasmPageSize)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	o, err := Attach(MemoryConfig{Store: s, Tracker: TrackerAdaptive, Base: addrOf(other.mem), Reserved: WasmPageSize, Size: WasmPageSize})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Detach()
	looks := func() uint64 {
		s.copying.mu.Lock()
		defer s.copying.mu.Unlock()
		return s.copying.looks
	}
	if err := o.Begin(); err != nil {
		t.Fatal(err)
	}
	writePages(t, e, m, 1, 5)
	writePages(t, e, m, 2, 5)
	for first := looks(); looks() < first+3 && m.Stats().BroughtIn == 0; {
		runtime.Gosched()
	}
	if got := m.Stats().BroughtIn; got != 0 {
		t.Errorf("%d pages were brought in beside a message", got)
	}
	if _, err := o.Commit(other.pages()); err != nil {
		t.Fatal(err)
	}
	for m.Stats().BroughtIn < 1023 {
		runtime.Gosched()
	}
}

// life is one memory, held against a flat model of its pages' first bytes, with a second one for queries.
type life struct {
	choices
	store  *Store
	e, q   *engine
	m      *Memory
	query  *Memory
	model  []byte
	past   []pastModel
	number byte
}

// pastModel is a version that a pin keeps and what it should contain.
type pastModel struct {
	pin     *Pin
	version Version
	model   []byte
}

const lifeStart, lifeMost = 1024, 2048 // pages

func attachBeside(s *Store, v Version, size int, query bool) (*engine, *Memory, error) {
	e, err := newEngine(lifeMost*PageSize, size)
	if err != nil {
		return nil, nil, err
	}
	m, err := Attach(MemoryConfig{
		Store: s, Tracker: TrackerAdaptive, Base: addrOf(e.mem), Reserved: uint64(len(e.mem)), Size: uint64(size), Version: v, Query: query,
	})
	if err != nil {
		return nil, nil, errors.Join(err, e.close())
	}
	m.tracker.(*adaptive).limits.armPage = 1 // cold for one message
	return e, m, nil
}

func liveBesideWorker(s *Store, seed, messages int) (err error) {
	l := &life{choices: newSeeded(uint64(seed), 0), store: s, model: make([]byte, lifeMost)}
	if l.e, l.m, err = attachBeside(s, Version{}, lifeStart*PageSize, false); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, l.m.Detach(), l.e.close())
		if l.query != nil {
			err = errors.Join(err, l.query.Detach(), l.q.close())
		}
		for _, p := range l.past {
			p.pin.Release()
		}
		s.Drop(l.m.Version())
	}()
	for n := range messages {
		l.number = byte(n + 1)
		for _, step := range []func() error{l.message, l.keep, l.ask, l.move} {
			if err := step(); err != nil {
				return fmt.Errorf("message %d: %w", n, err)
			}
		}
		if n%8 == 0 {
			time.Sleep(time.Millisecond) // a pause, as between rounds
		}
		if n%40 == 0 {
			runtime.GC()
		}
	}
	return holds("after all", l.e, l.model)
}

func holds(when string, e *engine, model []byte) error {
	for p := range e.size / PageSize {
		if got := e.mem[p*PageSize]; got != model[p] {
			return fmt.Errorf("%s: page %d has %d, want %d", when, p, got, model[p])
		}
	}
	return nil
}

func (l *life) message() error {
	if err := l.m.BeginKind(uint64(l.below(2))); err != nil {
		return err
	}
	changed := map[int]bool{}
	undo := l.below(5) == 0
	for range l.below(30) {
		p := l.below(l.e.size / PageSize)
		l.e.mem[p*PageSize] = l.number
		if !undo {
			l.model[p] = l.number
			changed[p] = true
		}
	}
	if undo {
		return l.m.Rollback(l.e.pages())
	}
	if l.below(20) == 0 && l.e.size < lifeMost*PageSize {
		if err := l.e.grow(l.e.size + WasmPageSize*8); err != nil {
			return err
		}
	}
	c, err := l.m.Commit(l.e.pages())
	if err == nil && len(c.Changed) != len(changed) {
		err = fmt.Errorf("%d pages changed, %d were written", len(c.Changed), len(changed))
	}
	return err
}

// keep pins a version now and then.
func (l *life) keep() error {
	if l.below(10) > 0 {
		return nil
	}
	l.past = append(l.past, pastModel{l.store.Pin(), l.m.Version(), append([]byte(nil), l.model...)})
	if len(l.past) > 4 {
		l.past[0].pin.Release()
		l.past = l.past[1:]
	}
	return nil
}

// ask runs a query on a version that was kept, on an instance that is brought there or made anew.
func (l *life) ask() error {
	if len(l.past) == 0 || l.below(6) > 0 {
		return nil
	}
	old := l.past[l.below(len(l.past))]
	if l.query != nil {
		err := l.query.Advance(old.version)
		if errors.Is(err, ErrSize) {
			err = errors.Join(l.query.Detach(), l.q.close())
			l.query = nil
		}
		if err != nil {
			return err
		}
	}
	if l.query == nil {
		var err error
		if l.q, l.query, err = attachBeside(l.store, old.version, int(old.version.Size.Bytes()), true); err != nil {
			return err
		}
	}
	for range 2 {
		if err := l.query.Begin(); err != nil {
			return err
		}
		if err := holds("query", l.q, old.model); err != nil {
			return err
		}
		l.q.mem[l.below(l.q.size/PageSize)*PageSize] = 255
		if err := l.query.Rollback(l.q.pages()); err != nil {
			return err
		}
	}
	if got := l.query.Stats().BroughtIn; got != 0 {
		return fmt.Errorf("%d pages of a query's memory were brought in", got)
	}
	return nil
}

// move takes the memory to a version that was kept, and back.
func (l *life) move() error {
	if len(l.past) == 0 || l.below(8) > 0 {
		return nil
	}
	old, newest, pin := l.past[l.below(len(l.past))], l.m.Version(), l.store.Pin()
	defer pin.Release()
	if old.version.Size != newest.Size {
		return nil
	}
	if err := l.m.Advance(old.version); err != nil {
		return err
	}
	if l.below(2) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := holds("moved", l.e, old.model); err != nil {
		return err
	}
	if err := l.m.Advance(newest); err != nil {
		return err
	}
	return holds("moved back", l.e, l.model)
}

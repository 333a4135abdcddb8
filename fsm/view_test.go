package fsm

import (
	"context"
	"errors"
	"testing"

	"lockstep/canister"
)

func (r *replica) view(round RoundNumber) (*StateView, error) {
	return r.View(context.Background(), round)
}

// TestViewsOfOlderRounds: the newest states stay readable, as long as they are few and their pages are.
func TestViewsOfOlderRounds(t *testing.T) {
	r := newReplica(t, Config{Engine: newEngine(t, canister.OptSpeed, sharedCache), StatesKept: 3})
	wantStatus(t, r.one(install(t, "memory")), StatusReplied)
	for i := range 5 {
		wantStatus(t, r.one(write(10+i, 0)), StatusReplied)
	}
	newest := r.Latest()
	for round := newest.Round - 3; round <= newest.Round; round++ {
		v, err := r.view(round)
		if err != nil {
			t.Fatal(err)
		}
		head := v.Head()
		root, _ := r.roots.get(round)
		contents, found := v.Canister(1)
		memory, _ := v.Memory(contents.Memory)
		none, err := v.Page(memory, 10_000)
		if head.Round != round || head.Root != root || !found || none != nil || err != nil || len(head.Canisters) != 1 {
			t.Errorf("round %d: %+v, canister %+v, %v", round, head, contents, err)
		}
		for page := range memory.Pages.All() {
			if bytes, err := v.Page(memory, page); len(bytes) != 4096 || err != nil {
				t.Errorf("round %d: page %d is missing: %v", round, page, err)
			}
		}
		if err := v.Release(); err != nil {
			t.Fatal(err)
		}
	}
	var gone *StateGoneError
	if _, err := r.view(newest.Round - 4); !errors.As(err, &gone) || gone.Oldest != newest.Round-3 || gone.Newest != newest.Round {
		t.Errorf("a round that is not kept: %v", err)
	}

	wantStatus(t, r.one(update("memory", "sequential", "pages=5000 seed=3")), StatusReplied) // all of them new
	wantStatus(t, r.one(update("memory", "sequential", "pages=5000 seed=4")), StatusReplied)
	if _, err := r.view(r.Latest().Round - 1); !errors.As(err, &gone) {
		t.Errorf("5000 replaced pages are kept for a state: %v", err)
	}
	if waiting := r.pages.Stats().Waiting; waiting > windowPages {
		t.Errorf("%d replaced pages wait", waiting)
	}
}

// TestViewWaits: a round to come is waited for, a machine that has stopped says that it will not come, and keeps what it has.
func TestViewWaits(t *testing.T) {
	r := newReplica(t, Config{Engine: newEngine(t, canister.OptSpeed, sharedCache)})
	wantStatus(t, r.one(install(t, "counter")), StatusReplied)
	next := r.Latest().Round + 1
	got := make(chan error)
	go func() {
		v, err := r.view(next)
		if err == nil && v.Head().Round != next {
			err = errors.New("another round")
		}
		if err == nil {
			err = v.Release()
		}
		got <- err
	}()
	wantStatus(t, r.one(update("counter", "increment", "")), StatusReplied)
	if err := <-got; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.View(ctx, next+1); !errors.Is(err, context.Canceled) {
		t.Errorf("a round that does not come: %v", err)
	}
	reason := r.stop(errors.New("the end"))
	var gone *StateGoneError
	if _, err := r.view(next + 1); !errors.As(err, &gone) || !errors.Is(err, reason) {
		t.Errorf("a round that will not come: %v", err)
	}
	v, err := r.view(NewestRound)
	if err != nil || v.Head().Round != next {
		t.Fatalf("the last state of a stopped machine: %v", err)
	}
	if err := v.Release(); err != nil {
		t.Error(err)
	}
}

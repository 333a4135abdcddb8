package fsm

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"lockstep/canister"
	"lockstep/memstore"
)

// canisterLimits are the limits of one canister by name.
func canisterLimits(l *canister.Limits) map[string]*uint64 {
	return map[string]*uint64{"MemoryBytes": &l.MemoryBytes, "StableBytes": &l.StableBytes, "Fuel": &l.Fuel,
		"InstallFuel": &l.InstallFuel, "ReplyBytes": &l.ReplyBytes, "StackUnits": &l.StackUnits}
}

// clusterLimits are the limits of the cluster by name, with those that canisters begin with.
func clusterLimits(l *Limits) map[string]*uint64 {
	out := canisterLimits(&l.Canister)
	maps.Copy(out, map[string]*uint64{"ArgBytes": &l.ArgBytes, "ModuleBytes": &l.ModuleBytes, "Canisters": &l.Canisters,
		"Sessions": &l.Sessions, "SessionReplyBytes": &l.SessionReplyBytes, "QueueMessages": &l.QueueMessages, "Calls": &l.Calls,
		"CallBytes": &l.CallBytes, "TurnMessages": &l.TurnMessages, "TurnFuel": &l.TurnFuel, "HeartbeatRounds": &l.HeartbeatRounds})
	return out
}

// assign carries out changes such as "Fuel=5000 ReplyBytes=1024", in order, on limits by name.
func assign(limits map[string]*uint64, changes string) error {
	fields := strings.Fields(changes)
	if len(fields) == 0 {
		return fmt.Errorf("no limit is named: write NAME=NUMBER, names are %s", names(limits))
	}
	for _, change := range fields {
		name, text, _ := strings.Cut(change, "=")
		limit, known := limits[name]
		if !known {
			return fmt.Errorf("there is no limit %q; names are %s", name, names(limits))
		}
		value, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return fmt.Errorf("limit %s is to be %q: write NAME=NUMBER", name, text)
		}
		*limit = value
	}
	return nil
}

func names(limits map[string]*uint64) string {
	return strings.Join(slices.Sorted(maps.Keys(limits)), ", ")
}

// Named lists limits by name.
func (l Limits) Named() map[string]uint64 {
	out := map[string]uint64{}
	for name, value := range clusterLimits(&l) {
		out[name] = *value
	}
	return out
}

// setLimits changes the limits of the cluster. Canisters keep their own: new ones begin with what is set here.
func (w *roundWork) setLimits(changes string) Result {
	l := w.next.Limits
	err := assign(clusterLimits(&l), changes)
	if err == nil {
		err = l.Validate()
	}
	if err != nil {
		return w.refusal("%v", err)
	}
	w.next.Limits = l
	return Result{Status: StatusReplied, Round: w.next.Round}
}

// limitCanister changes the limits of one canister, of which it names some.
func (w *roundWork) limitCanister(t *turn, changes string) (Result, error) {
	l := t.record.Limits
	if err := assign(canisterLimits(&l), changes); err != nil {
		return w.refusal("%v", err), nil
	}
	return w.limit(t, l)
}

// limit gives a canister other limits: it goes on as if it were restored under them. What it has must be within them.
func (w *roundWork) limit(t *turn, l canister.Limits) (Result, error) {
	c := &t.record
	if err := l.Validate(); err != nil {
		return w.refusal("%v", err), nil
	}
	state := c.live.State()
	if have := state.Memory.Size.Bytes(); have > l.MemoryBytes {
		return w.refusal("canister %q has %d bytes of memory, which is more than %d", c.Name, have, l.MemoryBytes), nil
	}
	if have := state.Stable.Size.Bytes(); have > l.StableBytes {
		return w.refusal("canister %q has %d bytes of stable memory, which is more than %d", c.Name, have, l.StableBytes), nil
	}
	module, refusal, err := w.machine.compile(loadPages(w.machine.pages, c.Code, c.CodeBytes), w.next.Limits, l)
	if err != nil || refusal != "" {
		return w.refusal("%s", refusal), err
	}
	live, err := canister.Restore(w.machine.canisterConfig(l), module, state)
	if err != nil {
		return Result{}, fmt.Errorf("round %d: limits of canister %s: %w", w.next.Round, c.Name, err)
	}
	w.machine.own(live)
	w.machine.retire(c.live, w.next.Round, []memstore.Version{})
	c.live, c.Limits = live, l
	c.Version++
	return Result{Status: StatusReplied, Round: w.next.Round}, nil
}

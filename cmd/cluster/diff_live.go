package main

import (
	"context"
	"fmt"
	"time"

	"lockstep/chaos/replay"
	"lockstep/node"
)

// liveClient asks two replicas.
type liveClient struct {
	*node.Client
	addresses [2]string
}

func newLiveClient(addresses [2]string) (*liveClient, error) {
	client, err := node.NewClient(node.ClientConfig{Addresses: addresses[:], Timeout: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	return &liveClient{client, addresses}, nil
}

// rootsAsked bounds the newest rounds in which a common one is looked for.
const rootsAsked = 4096

// compare fills in the newest round that both replicas have and whether it has one root. With different roots it adds what
// their tables of canisters show.
func (c *liveClient) compare(ctx context.Context, out *diffResult) error {
	var status [2]node.StatusReport
	newest := ^uint64(0)
	for i, address := range c.addresses {
		var err error
		if status[i], err = c.Status(ctx, address); err != nil {
			return err
		}
		newest = min(newest, status[i].Round)
	}
	roots := [2]map[uint64]string{}
	for i, address := range c.addresses {
		report, err := c.Roots(ctx, address, newest-min(newest, rootsAsked), rootsAsked+1)
		if err != nil {
			return err
		}
		roots[i] = map[uint64]string{}
		for _, r := range report.Roots {
			roots[i][r.Round] = r.Root
		}
	}
	first, round, found := firstDifference(roots, newest)
	if !found {
		return &exitError{exitUndecided, fmt.Errorf("%s is at round %d and %s at round %d: they know no round in common", c.addresses[0], status[0].Round, c.addresses[1], status[1].Round)}
	}
	out.A = diffSide{Path: c.addresses[0], Round: round, Index: status[0].Index, Root: roots[0][round]}
	out.B = diffSide{Path: c.addresses[1], Round: round, Index: status[1].Index, Root: roots[1][round]}
	out.Equal, out.Difference = first == 0, &replay.StateDifference{}
	if first != 0 {
		out.Difference.Fields = append(out.Difference.Fields, replay.FieldDifference{
			Name: fmt.Sprintf("root of round %d, the first known to differ", first), A: roots[0][first], B: roots[1][first]})
		out.Difference.Canisters = canisterTables(status)
	}
	return nil
}

// firstDifference finds the newest round that both know and the first one with two roots, 0 for none.
func firstDifference(roots [2]map[uint64]string, newest uint64) (first, round uint64, found bool) {
	for r := newest; r > 0 && newest-r <= rootsAsked; r-- {
		a, inA := roots[0][r]
		b, inB := roots[1][r]
		if !inA || !inB {
			continue
		}
		if !found {
			round, found = r, true
		}
		if a != b {
			first = r
		}
	}
	return first, round, found
}

// canisterTables compares what two replicas tell about their canisters, when they are at the same round; otherwise what differs
// may only be newer.
func canisterTables(status [2]node.StatusReport) (out []replay.CanisterDifference) {
	if status[0].Round != status[1].Round {
		return nil
	}
	other := map[string]node.CanisterReport{}
	for _, c := range status[1].Canisters {
		other[c.Name] = c
	}
	for _, a := range status[0].Canisters {
		b, found := other[a.Name]
		delete(other, a.Name)
		if !found {
			out = append(out, replay.CanisterDifference{Name: a.Name, Only: "a"})
		} else if a != b {
			out = append(out, replay.CanisterDifference{Name: a.Name, Fields: []replay.FieldDifference{
				{Name: "number, module, memory bytes, pages", A: fmt.Sprintf("%d %.12s… %d %d", a.ID, a.Module, a.MemoryBytes, a.PagesUsed),
					B: fmt.Sprintf("%d %.12s… %d %d", b.ID, b.Module, b.MemoryBytes, b.PagesUsed)}}})
		}
	}
	for name := range other {
		out = append(out, replay.CanisterDifference{Name: name, Only: "b"})
	}
	return out
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"lockstep/chaos/replay"
	"lockstep/node"
)

// liveDiff compares what two replicas have in memory, over their client ports.
type liveDiff struct {
	client    *node.Client
	addresses [2]string
	across    bool // at different rounds if they have none in common
	show      int
	held      [2]*node.HeldState
}

// diffLive holds one round's state on both replicas, and descends where the hashes differ.
func diffLive(ctx context.Context, w io.Writer, d liveDiff, asJSON bool) (err error) {
	d.client, err = node.NewClient(node.ClientConfig{Addresses: d.addresses[:], Timeout: 20 * time.Second})
	if err != nil {
		return err
	}
	defer d.client.Close()
	defer d.drop(ctx)
	if err := d.hold(ctx); err != nil {
		return err
	}
	var out diffResult
	out.A, out.B = d.side(0), d.side(1)
	out.Difference, err = replay.CompareLive(ctx, d.held[0], d.held[1], d.show)
	if err != nil {
		return err
	}
	out.Equal = out.Difference.Empty()
	out.Read, out.Trips = d.held[0].Read+d.held[1].Read, d.held[0].Trips+d.held[1].Trips
	out.Nodes, out.Pages = d.held[0].NodesRead+d.held[1].NodesRead, d.held[0].PagesRead+d.held[1].PagesRead
	if !out.Equal {
		if err := d.history(ctx, &out); err != nil {
			return err
		}
	}
	err = printDiff(w, &out, asJSON)
	if !asJSON {
		fmt.Fprintf(w, "compared by hashes: %d requests, %d nodes and %d pages read, %s\n", out.Trips, out.Nodes, out.Pages, bytesText(out.Read))
	}
	return err
}

func (d *liveDiff) side(i int) diffSide {
	h := d.held[i]
	return diffSide{Path: d.addresses[i], Round: h.Round, Index: h.Index, Root: h.Root}
}

// drop lets the replicas give the states up. They do it by themselves after a while.
func (d *liveDiff) drop(ctx context.Context) {
	for i, h := range d.held {
		if h != nil {
			_ = h.Drop(ctx)
			d.held[i] = nil
		}
	}
}

// hold finds a round that both replicas have and holds its state on both. A replica keeps the states of its newest rounds and
// waits for one to come: the newest of one is held first, and the other asked for the same; then the other way round.
func (d *liveDiff) hold(ctx context.Context) error {
	var refused [2]error
	for try := range 6 {
		i := try % 2
		if err := d.take(ctx, i, node.NewestRound); err != nil {
			return err
		}
		err := d.take(ctx, 1-i, d.held[i].Round)
		if err == nil {
			return nil
		}
		if !gone(err) {
			return err
		}
		refused[1-i] = err
		if d.across && try == 1 {
			return d.take(ctx, 1-i, node.NewestRound)
		}
		d.drop(ctx)
	}
	return &exitError{exitUndecided, fmt.Errorf("the replicas have no round in common: %w; compare them at different rounds with --across-rounds, stop them and compare their folders, or repeat the log of one with cluster replay",
		errors.Join(refused[0], refused[1]))}
}

// take holds a round on one replica.
func (d *liveDiff) take(ctx context.Context, i int, round uint64) error {
	h, err := d.client.HoldState(ctx, d.addresses[i], round)
	if err == nil {
		d.held[i] = h
	}
	return err
}

// gone reports whether a replica does not have a round that was asked for, or does not get there in time.
func gone(err error) bool {
	var failed *node.CallError
	return errors.As(err, &failed) && (failed.Code == http.StatusConflict || failed.Code == http.StatusServiceUnavailable)
}

// rootsAsked bounds the newest rounds in which the first difference is looked for.
const rootsAsked = 4096

// history adds the first round whose roots are known to differ.
func (d *liveDiff) history(ctx context.Context, out *diffResult) error {
	newest := min(out.A.Round, out.B.Round)
	from := newest - min(newest, rootsAsked)
	var roots [2]map[uint64]string
	for i, address := range d.addresses {
		report, err := d.client.Roots(ctx, address, max(from, 1), rootsAsked+1)
		if err != nil {
			return err
		}
		roots[i] = map[uint64]string{}
		for _, r := range report.Roots {
			roots[i][r.Round] = r.Root
		}
	}
	if first := firstDifference(roots, newest); first != 0 {
		out.FirstRound = first
	}
	return nil
}

// firstDifference finds the first round that both know with two roots; 0 for none.
func firstDifference(roots [2]map[uint64]string, newest uint64) (first uint64) {
	for r := newest; r > 0 && newest-r <= rootsAsked; r-- {
		a, inA := roots[0][r]
		b, inB := roots[1][r]
		if inA && inB && a != b {
			first = r
		}
	}
	return first
}

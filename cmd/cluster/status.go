package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lockstep/node"
)

func newStatusCommand() *cobra.Command {
	var o clientOptions
	c := &cobra.Command{
		Use:     "status",
		Short:   "Show every replica of a running cluster",
		GroupID: groupUse,
		Long: `Asks every replica that it is told of, and their peers, and prints one line for each.

Exit codes: 0 every replica runs, 1 one has diverged, or two have different roots after the same round, 2 one does not run
or does not answer, 3 wrong use.`,
		Example: `  cluster status --node 127.0.0.1:8001
  LOCKSTEP_NODES=127.0.0.1:8001,127.0.0.1:8002 cluster status --json`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			addresses, err := o.addresses(c)
			if err != nil {
				return err
			}
			client, err := o.client(c)
			if err != nil {
				return err
			}
			defer client.Close()
			s := askAll(c, &o, client, addresses)
			if err := s.print(c.OutOrStdout(), o.asJSON); err != nil {
				return err
			}
			return s.judge()
		},
	}
	o.register(c)
	return c
}

// clusterStatus is what the replicas of a cluster say, in the order of their names.
type clusterStatus []replicaStatus

// replicaStatus is what one replica says, or why it says nothing.
type replicaStatus struct {
	Address string             `json:"address"`
	ID      string             `json:"id"`
	Status  *node.StatusReport `json:"status,omitempty"`
	Error   string             `json:"error,omitempty"`
}

// askAll asks the replicas at the addresses, then those that they call their peers and that were not asked yet.
func askAll(c *cobra.Command, o *clientOptions, client *node.Client, addresses []string) clusterStatus {
	all := ask(c, o, client, addresses)
	names := map[string]string{} // by address
	for _, r := range all {
		if r.Status == nil {
			continue
		}
		for _, p := range r.Status.Peers {
			names[p.HTTP] = p.ID
		}
	}
	var others []string
	for address := range names {
		if !slices.ContainsFunc(all, func(r replicaStatus) bool { return r.Address == address || r.ID == names[address] }) {
			others = append(others, address)
		}
	}
	all = append(all, ask(c, o, client, others)...)
	for i := range all {
		if all[i].ID == "" {
			all[i].ID = names[all[i].Address]
		}
	}
	slices.SortFunc(all, func(a, b replicaStatus) int { return strings.Compare(a.ID+" "+a.Address, b.ID+" "+b.Address) })
	return all
}

// ask asks several replicas at once.
func ask(c *cobra.Command, o *clientOptions, client *node.Client, addresses []string) clusterStatus {
	ctx, cancel := o.within(c)
	defer cancel()
	answers := make(clusterStatus, len(addresses))
	var asking sync.WaitGroup
	for i, address := range addresses {
		asking.Go(func() {
			answers[i].Address = address
			s, err := client.Status(ctx, address)
			if err != nil {
				answers[i].Error = err.Error()
				return
			}
			answers[i].ID, answers[i].Status = s.Node, &s
		})
	}
	asking.Wait()
	return answers
}

func (s clusterStatus) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]any{"replicas": s})
	}
	newest := uint64(0)
	for _, r := range s {
		if r.Status != nil {
			newest = max(newest, r.Status.Round)
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "REPLICA\tADDRESS\tSTATE\tROLE\tTERM\tROUND\tLAG\tROOT\tCHECKPOINT\tTRACKER")
	for _, r := range s {
		if r.Status == nil {
			fmt.Fprintf(t, "%s\t%s\tno answer\t\t\t\t\t\t\t\n", orDash(r.ID), r.Address)
			continue
		}
		x := r.Status
		role, checkpoint := x.Role, "-"
		if x.Joining {
			role += " (joining)"
		}
		if x.Checkpoints.Round > 0 {
			checkpoint = fmt.Sprint(x.Checkpoints.Round)
		}
		if x.Checkpoints.Failure != "" {
			checkpoint += " (failing)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n", r.ID, r.Address, x.State, role, x.Term,
			x.Round, newest-x.Round, orDash(x.Root[:min(16, len(x.Root))]), checkpoint, orDash(x.Tracker))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, line := range s.troubles() {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// troubles says in words what is wrong, the worst first.
func (s clusterStatus) troubles() []string {
	var lines []string
	for _, r := range s {
		if r.Status != nil && r.Status.Divergence != nil {
			d := r.Status.Divergence
			lines = append(lines, fmt.Sprintf("%s HAS DIVERGED at round %d: its root is %s, the leader attests %s. It serves nothing; the evidence is in %s.",
				r.ID, d.Round, d.Own, d.Attested, r.Status.DataDir))
		}
	}
	if a, b, ok := s.differ(); ok {
		lines = append(lines, fmt.Sprintf("%s and %s DISAGREE after round %d: %s and %s.", a.ID, b.ID, a.Status.Round, a.Status.Root, b.Status.Root))
	}
	leader, answered := false, false
	for _, r := range s {
		answered = answered || r.Status != nil
		switch {
		case r.Status == nil:
			lines = append(lines, fmt.Sprintf("%s does not answer: %s", strings.TrimPrefix(r.ID+" at "+r.Address, " at "), r.Error))
		case r.Status.State != node.StateRunning && r.Status.Divergence == nil:
			lines = append(lines, strings.TrimSuffix(fmt.Sprintf("%s is %s: %s", r.ID, r.Status.State, r.Status.Reason), ": "))
		}
		leader = leader || r.Status != nil && r.Status.Role == "leader"
	}
	if answered && !leader {
		lines = append(lines, "No replica that answers is the leader: updates wait.")
		lines = append(lines, s.wayOut()...)
	}
	return append(append(lines, s.diskTroubles()...), s.transfers()...)
}

// transfers says which replicas are being sent a checkpoint, and how far that is.
func (s clusterStatus) transfers() []string {
	var lines []string
	for _, r := range s {
		if r.Status == nil {
			continue
		}
		for _, t := range r.Status.Transfers {
			if t.State != "running" || t.Direction != "receiving" {
				continue
			}
			lines = append(lines, fmt.Sprintf("%s is being sent the checkpoint at index %d by %s: %s of %s, %s/s, about %s to go.",
				r.ID, t.Index, t.Peer, bytesText(t.Bytes), bytesText(t.Total), bytesText(uint64(t.Rate)),
				time.Duration(t.Remaining*float64(time.Second)).Round(100*time.Millisecond)))
		}
	}
	return lines
}

// wayOut says what can be done when replicas with new folders keep the cluster from having a leader.
func (s clusterStatus) wayOut() []string {
	var names, files []string
	for _, r := range s {
		if r.Status != nil && r.Status.Joining {
			names, files = append(names, r.ID), append(files, r.Status.JoiningFile)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s joined with a new folder and votes for nobody who knows more, until a leader has brought it up to date: start the "+
		"replicas that still have their data. If they cannot come back, and losing what only they had is acceptable, stop each replica that is joining, "+
		"remove its file, and start it again: %s.", strings.Join(names, ", "), strings.Join(files, ", "))}
}

// diskTroubles says which replicas could not use their disk as they should, and go on all the same.
func (s clusterStatus) diskTroubles() []string {
	var lines []string
	for _, r := range s {
		if r.Status == nil {
			continue
		}
		if c := r.Status.Checkpoints; c.Failure != "" {
			lines = append(lines, fmt.Sprintf("%s CANNOT TAKE CHECKPOINTS (%d failed), and its log grows until it can: %s", r.ID, c.Failed, c.Failure))
		}
		if r.Status.SetAside != "" {
			lines = append(lines, fmt.Sprintf("%s could not use its log and its checkpoints, and is sent the state by the leader. They are kept in %s", r.ID, r.Status.SetAside))
		}
	}
	return lines
}

// differ finds two replicas with different roots after the same round.
func (s clusterStatus) differ() (a, b replicaStatus, found bool) {
	first := map[uint64]replicaStatus{}
	for _, r := range s {
		if r.Status == nil {
			continue
		}
		other, seen := first[r.Status.Round]
		if seen && other.Status.Root != r.Status.Root {
			return other, r, true
		}
		first[r.Status.Round] = r
	}
	return a, b, false
}

// judge gives the exit code. What there is to say has been printed.
func (s clusterStatus) judge() error {
	_, _, bad := s.differ()
	undecided := false
	for _, r := range s {
		bad = bad || r.Status != nil && r.Status.State == node.StateDiverged
		undecided = undecided || r.Status == nil || r.Status.State != node.StateRunning
	}
	switch {
	case bad:
		return &exitError{exitBad, nil}
	case undecided:
		return &exitError{exitUndecided, nil}
	case len(s) == 0:
		return errors.New("no replica was asked")
	}
	return nil
}

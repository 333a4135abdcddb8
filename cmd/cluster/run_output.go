package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"lockstep/chaos"
)

// runOutput is what `cluster run` prints, in the order of the methods. ending may come at any time, from any goroutine.
type runOutput interface {
	started(*chaos.Cluster)
	ready(chaos.Equipment)
	progressed(chaos.Progress)
	ending(why string)
	settling()
	verdict(*chaos.Verdict) error
}

// textOutput prints for people.
type textOutput struct {
	options *runOptions
	mu      sync.Mutex // guards what is printed
	w       io.Writer
	screen  *screen
	cluster *chaos.Cluster
}

func newTextOutput(w io.Writer, o *runOptions) *textOutput {
	return &textOutput{options: o, w: w, screen: newScreen(w)}
}

func (t *textOutput) started(c *chaos.Cluster) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cluster = c
	folder := c.Path()
	switch {
	case c.Temporary():
		folder += " (removed in the end)"
	case !c.Fresh():
		folder += " (continued)"
	}
	table := tabwriter.NewWriter(t.w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "cluster\t%s, %d replicas\n", c.ID(), len(c.Members()))
	for _, line := range t.options.parameters() {
		fmt.Fprintf(table, "%s\t%s\n", line[0], line[1])
	}
	fmt.Fprintf(table, "folder\t%s\n", folder)
	for i, m := range c.Members() {
		fmt.Fprintf(table, "%s\thttp://%s  process %d\n", m.ID, m.HTTP, c.Process(i).PID)
	}
	table.Flush() // the error is seen when the verdict is written
	first := c.Members()[0].HTTP
	fmt.Fprintf(t.w, "\ntry         curl http://%s/v1/status\n            cluster status --node %s\n\n", first, first)
	t.screen.show([]string{"starting replicas, installing canisters …"})
}

// parameters lists what the run was told or chose by itself.
func (o *runOptions) parameters() [][2]string {
	length := "until Ctrl-C"
	switch {
	case o.rounds > 0 && o.duration > 0:
		length = fmt.Sprintf("%d rounds, at most %v", o.rounds, o.duration)
	case o.rounds > 0:
		length = fmt.Sprintf("%d rounds", o.rounds)
	case o.duration > 0:
		length = o.duration.String()
	}
	return [][2]string{
		{"workload", o.workload},
		{"seed", fmt.Sprint(o.seed)},
		{"clients", fmt.Sprint(o.clients)},
		{"length", length},
		{"checkpoint", fmt.Sprintf("every %d rounds", o.checkpointEvery)},
	}
}

// ready tells what the replicas have chosen where they could.
func (t *textOutput) ready(e chaos.Equipment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.screen.settle()
	fmt.Fprintf(t.w, "tracker     %s\nopt-level   %s\n", e.Tracker, e.OptLevel)
}

func (t *textOutput) progressed(p chaos.Progress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.screen.show(p.Lines())
}

func (t *textOutput) ending(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.screen.settle()
	fmt.Fprintln(t.w, why)
}

func (t *textOutput) settling() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.screen.settle()
	fmt.Fprintln(t.w, "waiting for every replica to reach the newest round …")
}

func (t *textOutput) verdict(v *chaos.Verdict) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintln(t.w)
	if err := v.Write(t.w); err != nil {
		return err
	}
	if !t.cluster.Temporary() {
		fmt.Fprintf(t.w, "data and logs: %s\n", t.cluster.Path())
	}
	return nil
}

// jsonOutput prints one object a line. Times are in the unit that their name ends with.
type jsonOutput struct {
	options *runOptions
	mu      sync.Mutex // guards the encoder
	encoder *json.Encoder
	err     error
}

func newJSONOutput(w io.Writer, o *runOptions) *jsonOutput {
	return &jsonOutput{options: o, encoder: json.NewEncoder(w)}
}

func (j *jsonOutput) print(event any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.encoder.Encode(event); j.err == nil {
		j.err = err
	}
}

// startEvent is the first line.
type startEvent struct {
	Event     string         `json:"event"`
	Cluster   string         `json:"cluster"`
	Folder    string         `json:"folder"`
	Temporary bool           `json:"temporary"`
	Continued bool           `json:"continued"`
	Replicas  []startReplica `json:"replicas"`

	Workload        string        `json:"workload"`
	Seed            uint64        `json:"seed"`
	Clients         int           `json:"clients"`
	Duration        time.Duration `json:"duration_ns"`
	Rounds          uint64        `json:"rounds"`
	CheckpointEvery uint64        `json:"checkpoint_every"`
	Tracker         string        `json:"tracker"`
	OptLevel        string        `json:"opt_level"`
}

type startReplica struct {
	chaos.Member
	PID int    `json:"pid"`
	Log string `json:"log"`
}

func (j *jsonOutput) started(c *chaos.Cluster) {
	o := j.options
	e := startEvent{
		Event: "start", Cluster: c.ID(), Folder: c.Path(), Temporary: c.Temporary(), Continued: !c.Fresh(),
		Workload: o.workload, Seed: o.seed, Clients: o.clients, Duration: o.duration, Rounds: o.rounds,
		CheckpointEvery: o.checkpointEvery, Tracker: o.tracker, OptLevel: o.optLevel,
	}
	for i, m := range c.Members() {
		e.Replicas = append(e.Replicas, startReplica{m, c.Process(i).PID, c.LogPath(i)})
	}
	j.print(e)
}

// ready tells what the replicas have chosen where they could.
func (j *jsonOutput) ready(e chaos.Equipment) {
	j.print(map[string]string{"event": "ready", "tracker": e.Tracker, "opt_level": e.OptLevel})
}

func (j *jsonOutput) progressed(p chaos.Progress) {
	j.print(struct {
		Event string `json:"event"`
		chaos.Progress
	}{"progress", p})
}

func (j *jsonOutput) ending(why string) {
	j.print(map[string]string{"event": "ending", "why": strings.SplitN(why, ":", 2)[0]})
}

func (j *jsonOutput) settling() {}

func (j *jsonOutput) verdict(v *chaos.Verdict) error {
	j.print(struct {
		Event string `json:"event"`
		*chaos.Verdict
	}{"verdict", v})
	return j.err
}

package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"lockstep/chaos"
	"lockstep/chaos/replay"
	"lockstep/fsm"
	"lockstep/node"
	"lockstep/pagetrie"
	"lockstep/testdata"
)

// archive is the replica that keeps its whole log.
const archive = 0

// Rounds between two checkpoints, entries kept behind one, and how long anything may take.
const (
	checkpointEvery = 16
	trailingLogs    = 4
	patience        = 60 * time.Second
)

// rig is the cluster of one drill.
type rig struct {
	cfg       Config
	ctx       context.Context
	folder    *chaos.Folder
	processes []*process // nil: not running
	client    *node.Client
	// drawing guards random.
	drawing sync.Mutex
	random  *rand.Rand
	// wrap puts a command line before a replica's; nil for none.
	wrap map[int][]string
	// roots are what replicas reported, by round, newest the last of these rounds; origin is the start of the archive's log.
	roots  map[fsm.RoundNumber]pagetrie.Hash
	newest fsm.RoundNumber
	origin string
	// exports counts the checkpoints that were carried out of the cluster.
	exports int
	result  Result
}

// newRig makes the folder of a cluster. Nothing runs yet.
func newRig(ctx context.Context, d Drill, c Config) (*rig, error) {
	nodes := max(d.nodes, c.Nodes, 3)
	folder, err := chaos.OpenFolder("")
	if err != nil {
		return nil, err
	}
	r := &rig{cfg: c, ctx: ctx, folder: folder, random: rand.New(rand.NewPCG(c.Seed, 7)), wrap: map[int][]string{},
		roots: map[fsm.RoundNumber]pagetrie.Hash{}, origin: replay.FromEmpty, result: Result{Name: d.Name}}
	if c.Data != "" {
		err = r.adopt(c.Data)
		if n := len(r.members()); err == nil && n < max(d.nodes, 3) {
			err = skipped("the cluster has %d replicas, this drill needs %d", n, max(d.nodes, 3))
		}
	} else {
		err = r.found(newNames(nodes))
	}
	return r, err
}

func newNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("n%d", i+1))
	}
	return names
}

// found makes the folder that of a new cluster.
func (r *rig) found(names []string) error {
	m := chaos.Manifest{Format: 1, ClusterID: fmt.Sprintf("drill-%08x", r.random.Uint32())}
	addresses, err := freeAddresses(2 * len(names))
	if err != nil {
		return err
	}
	for i, name := range names {
		m.Nodes = append(m.Nodes, chaos.Member{ID: name, Raft: addresses[2*i], HTTP: addresses[2*i+1]})
	}
	return r.settle(m)
}

// settle takes a manifest, with as many processes as it has members.
func (r *rig) settle(m chaos.Manifest) error {
	if err := r.folder.SetManifest(m); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(r.folder.Path, "logs"), 0o755); err != nil {
		return err
	}
	r.processes = make([]*process, len(m.Nodes))
	var addresses []string
	for _, n := range m.Nodes {
		addresses = append(addresses, n.HTTP)
	}
	if r.client != nil {
		r.client.Close()
	}
	var err error
	r.client, err = node.NewClient(node.ClientConfig{Addresses: addresses, Timeout: 5 * time.Second})
	return err
}

// adopt copies a stopped cluster's folder, with other ports.
func (r *rig) adopt(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	source, err := chaos.OpenFolder(dir)
	if err != nil {
		return err
	}
	defer source.Close()
	if source.Manifest == nil {
		return fmt.Errorf("%s is no cluster's folder: name one of cluster run --data", dir)
	}
	m := *source.Manifest
	addresses, err := freeAddresses(2 * len(m.Nodes))
	if err != nil {
		return err
	}
	m.Nodes = append([]chaos.Member(nil), m.Nodes...)
	for i := range m.Nodes {
		m.Nodes[i].Raft, m.Nodes[i].HTTP = addresses[2*i], addresses[2*i+1]
		if err := copyFolder(source.DataPath(m.Nodes[i].ID), r.folder.DataPath(m.Nodes[i].ID)); err != nil {
			return err
		}
	}
	if err := r.settle(m); err != nil {
		return err
	}
	return r.keepOrigin()
}

// keepOrigin copies the oldest checkpoint from which the archive's log can be repeated, unless that is the empty state.
func (r *rig) keepOrigin() error {
	report, err := r.replayArchive("", 1)
	if err != nil {
		return fmt.Errorf("find the start of the log: %w", err)
	}
	if report.From == replay.FromEmpty {
		return nil
	}
	r.origin = filepath.Join(r.folder.Path, "origin")
	return copyFolder(report.From, r.origin)
}

// copyFolder copies a folder's files.
func copyFolder(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}

// freeAddresses finds loopback addresses on which nobody listens.
func freeAddresses(n int) ([]string, error) {
	var out []string
	for try := 0; len(out) < n; try++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000))) // below the system's own
		if err != nil && try < 1000 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out, nil
}

func (r *rig) members() []chaos.Member {
	if r.folder.Manifest == nil {
		return nil
	}
	return r.folder.Manifest.Nodes
}

func (r *rig) dir(i int, elem ...string) string {
	return filepath.Join(append([]string{r.folder.DataPath(r.members()[i].ID)}, elem...)...)
}

func (r *rig) step(format string, args ...any) {
	if r.cfg.Step != nil {
		r.cfg.Step(fmt.Sprintf(format, args...))
	}
}

func (r *rig) fact(format string, args ...any) {
	r.result.Facts = append(r.result.Facts, fmt.Sprintf(format, args...))
	r.step(format, args...)
}

// start starts replicas that do not run.
func (r *rig) start(replicas ...int) error {
	for _, i := range replicas {
		self := r.members()[i]
		trailing := uint64(trailingLogs)
		if i == archive {
			trailing = 1 << 32
		}
		argv := append(append([]string(nil), r.wrap[i]...), r.cfg.Program)
		argv = append(argv, r.cfg.Args[1:]...)
		argv = append(argv, "--cluster-id", r.folder.Manifest.ClusterID, "--data", r.dir(i), "--stop-with-stdin",
			"--id", self.ID, "--raft", self.Raft, "--http", self.HTTP,
			"--checkpoint-every", strconv.Itoa(checkpointEvery), "--trailing-logs", strconv.FormatUint(trailing, 10))
		for _, m := range r.members() {
			if m.ID != self.ID {
				argv = append(argv, "--peer", m.ID+"="+m.Raft+","+m.HTTP)
			}
		}
		p, err := startProcess(argv, r.folder.LogPath(self.ID))
		if err != nil {
			return fmt.Errorf("replica %s: %w", self.ID, err)
		}
		r.processes[i] = p
	}
	return nil
}

func (r *rig) all() []int {
	var out []int
	for i := range r.members() {
		out = append(out, i)
	}
	return out
}

// end ends replicas with a signal, after writing down the roots that they reported.
func (r *rig) end(s syscall.Signal, replicas ...int) error {
	for _, i := range replicas {
		if err := r.collect(i); err != nil {
			return err
		}
	}
	var errs []error
	for _, i := range replicas {
		if p := r.processes[i]; p != nil {
			errs = append(errs, p.end(s))
			r.processes[i] = nil
		}
	}
	return errors.Join(errs...)
}

// wait waits until something holds.
func (r *rig) wait(what string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return undecided("within %v it was not seen: %s", patience, what)
		case <-tick.C:
		}
	}
	return nil
}

// close ends everything. The folder of a drill that found something is kept.
func (r *rig) close() error {
	var errs []error
	for _, p := range r.processes {
		if p != nil {
			errs = append(errs, p.end(syscall.SIGKILL))
		}
	}
	if r.client != nil {
		r.client.Close()
	}
	if r.result.Verdict == Violation || r.result.Verdict == Undecided && r.ctx.Err() == nil {
		r.result.Folder = r.folder.Path
		errs = append(errs, r.folder.Keep())
	}
	return errors.Join(append(errs, r.folder.Close())...)
}

// canisters are what a new cluster is given.
var canisters = []string{"kv", "memory"}

// prepare starts the cluster and fills it.
func (r *rig) prepare() error {
	if err := r.start(r.all()...); err != nil {
		return err
	}
	r.step("%d replicas in %s", len(r.members()), r.folder.Path)
	if _, err := r.leader(); err != nil {
		return err
	}
	for _, name := range canisters {
		code, _, err := testdata.Canister(name)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(r.ctx, patience)
		_, err = r.client.Install(ctx, name, code, nil)
		cancel()
		if err != nil {
			return undecided("install %s: %v", name, err)
		}
	}
	if err := r.fill(); err != nil {
		return err
	}
	if err := r.work(3 * checkpointEvery); err != nil {
		return err
	}
	return r.agree()
}

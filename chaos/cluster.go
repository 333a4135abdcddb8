package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ClusterConfig says what cluster to start.
type ClusterConfig struct {
	// Program is the file that is executed for each replica, and Args its arguments with argv[0] and everything else that
	// goes before the flags of a replica (see nodeFlags), such as {"cluster", "node"}.
	Program string
	Args    []string
	// Extra are flags for every replica, put behind those that StartCluster gives itself.
	Extra []string
	// Nodes is the number of replicas, 1 to MaxNodes. 0 means what Dir says, or else DefaultNodes.
	Nodes int
	// Dir is the cluster's folder; its contents are continued. "" means a temporary one.
	Dir string
	// Keep leaves a temporary folder in place.
	Keep bool
	// Log takes what happens to the replicas' processes.
	Log *slog.Logger
}

// DefaultNodes is the number of replicas of a new cluster if none is given; MaxNodes is the most that a node accepts.
const (
	DefaultNodes = 3
	MaxNodes     = 9
)

// Cluster is a running cluster: its folder and one supervised process a replica. Its methods are safe for concurrent
// use.
type Cluster struct {
	folder  *Folder
	members []Member
	nodes   []*process
	fresh   bool
	log     *slog.Logger
}

// ErrPortInUse marks a replica that could not listen.
var ErrPortInUse = errors.New("port in use")

// StartCluster starts the replicas. It returns as soon as the processes run: WaitReady waits until they answer. On an
// error nothing stays behind but a folder named in Dir. The caller must call Close.
func StartCluster(c ClusterConfig) (*Cluster, error) {
	folder, err := OpenFolder(c.Dir)
	if err != nil {
		return nil, err
	}
	fresh := folder.Manifest == nil
	if c.Keep {
		err = folder.Keep()
	}
	if err == nil {
		err = prepareFolder(folder, c.Nodes)
	}
	if err == nil {
		err = os.MkdirAll(filepath.Join(folder.Path, logsName), 0o755)
	}
	if err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	cl := &Cluster{folder: folder, members: folder.Manifest.Nodes, fresh: fresh, log: c.Log}
	for _, m := range cl.members {
		p, err := startProcess(processConfig{
			name: m.ID, program: c.Program,
			argv:    append(append(append([]string(nil), c.Args...), nodeFlags(folder, m.ID)...), c.Extra...),
			logPath: folder.LogPath(m.ID), log: c.Log,
		})
		if err != nil {
			return nil, errors.Join(err, cl.Close())
		}
		cl.nodes = append(cl.nodes, p)
	}
	return cl, nil
}

// prepareFolder makes a new folder that of a cluster, or checks that an old one has the shape that is asked for. An old
// cluster whose ports somebody else has taken moves to others.
func prepareFolder(f *Folder, nodes int) error {
	if nodes < 0 || nodes > MaxNodes {
		return fmt.Errorf("%d nodes: a cluster has 1 to %d", nodes, MaxNodes)
	}
	m := f.Manifest
	if m == nil {
		m = newManifest(nodes)
	} else if have := len(m.Nodes); nodes != 0 && nodes != have {
		return fmt.Errorf("%w %s: its cluster has %d nodes, %d were asked for: leave the number away, or name another folder",
			ErrFolder, f.name, have, nodes)
	}
	if f.Manifest != nil && m.portsFree() {
		return nil
	}
	ports, err := pickPorts(2 * len(m.Nodes))
	if err != nil {
		return err
	}
	for i := range m.Nodes {
		m.Nodes[i].Raft, m.Nodes[i].HTTP = ports[2*i], ports[2*i+1]
	}
	return f.SetManifest(*m)
}

// newManifest describes a new cluster that has no addresses yet; 0 nodes are DefaultNodes.
func newManifest(nodes int) *Manifest {
	if nodes == 0 {
		nodes = DefaultNodes
	}
	m := &Manifest{Format: manifestFormat, ClusterID: newClusterID()}
	for i := range nodes {
		m.Nodes = append(m.Nodes, Member{ID: fmt.Sprintf("n%d", i+1)})
	}
	return m
}

// portsFree reports whether nobody listens on the cluster's ports.
func (m *Manifest) portsFree() bool {
	for _, n := range m.Nodes {
		for _, address := range []string{n.Raft, n.HTTP} {
			l, err := net.Listen("tcp", address)
			if err != nil {
				return false
			}
			l.Close()
		}
	}
	return true
}

// nodeFlags are the flags of `cluster node` that tell a replica who and where it is.
func nodeFlags(f *Folder, id string) []string {
	flags := []string{"--cluster-id", f.Manifest.ClusterID, "--data", f.DataPath(id), "--stop-with-stdin"}
	for _, m := range f.Manifest.Nodes {
		if m.ID == id {
			flags = append(flags, "--id", m.ID, "--raft", m.Raft, "--http", m.HTTP)
			continue
		}
		flags = append(flags, "--peer", m.ID+"="+m.Raft+","+m.HTTP)
	}
	return flags
}

// Path is the cluster's folder.
func (c *Cluster) Path() string { return c.folder.Path }

// ID is the cluster's identity.
func (c *Cluster) ID() string { return c.folder.Manifest.ClusterID }

// Temporary reports whether Close removes the folder.
func (c *Cluster) Temporary() bool { return c.folder.Temporary() }

// Fresh reports whether the cluster's folder was new: no replica has run before.
func (c *Cluster) Fresh() bool { return c.fresh }

// Members lists the replicas in the order by which the other methods number them. It must not be changed.
func (c *Cluster) Members() []Member { return c.members }

// LogPath is the file of what a replica prints.
func (c *Cluster) LogPath(replica int) string { return c.folder.LogPath(c.members[replica].ID) }

// Process is the state of a replica's process.
func (c *Cluster) Process(replica int) ProcessStatus { return c.nodes[replica].Status() }

// Signal sends a signal to a replica's process; if none runs at the moment, nothing happens. A replica that is killed
// is started again.
func (c *Cluster) Signal(replica int, s syscall.Signal) error { return c.nodes[replica].signal(s) }

// WaitReady waits until ready says so. It gives up when ctx ends, or when a replica ended for good: the error then says
// which and why, and wraps ErrPortInUse if that was the reason.
func (c *Cluster) WaitReady(ctx context.Context, ready func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		for i, p := range c.nodes {
			if err := p.failure(); err != nil {
				return fmt.Errorf("replica %s: %w", c.members[i].ID, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cluster is not ready: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
	return nil
}

// failure is why a process ended for good without being asked to, or nil.
func (p *process) failure() error {
	s := p.Status()
	if !s.Final() || s.State == ProcessStopped {
		return nil
	}
	if portTaken(s.State, s.Exit) {
		return fmt.Errorf("%w: %s", ErrPortInUse, s.Exit)
	}
	return fmt.Errorf("%s: %s", s.State, s.Exit)
}

// Stop asks every replica to end, and kills those that have not when ctx ends. It returns when none is left.
func (c *Cluster) Stop(ctx context.Context) error {
	var errs []error
	for _, p := range c.nodes {
		errs = append(errs, p.stop(syscall.SIGTERM))
	}
	for i, p := range c.nodes {
		select {
		case <-p.done:
			continue
		case <-ctx.Done():
		}
		c.log.Warn("replica does not stop, killing it", "node", c.members[i].ID)
		errs = append(errs, p.stop(syscall.SIGKILL))
		<-p.done
	}
	return errors.Join(errs...)
}

// Close kills what still runs, removes the folder if it is temporary and unlocks it. It may be called twice.
func (c *Cluster) Close() error {
	var errs []error
	for _, p := range c.nodes {
		errs = append(errs, p.stop(syscall.SIGKILL))
	}
	for _, p := range c.nodes {
		<-p.done
	}
	return errors.Join(append(errs, c.folder.Close())...)
}

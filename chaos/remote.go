package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"lockstep/chaos/workload"
	"lockstep/fsm"
	"lockstep/node"
	"lockstep/pagetrie"
)

// remote is a cluster as its clients see it: over the client ports, and by nothing else.
type remote struct {
	names     []string
	addresses []string
	replicas  []Replica
	client    *node.Client      // for everything that is no client's message
	modules   []workload.Module // that were to be installed

	mu      sync.Mutex
	clients map[int]*node.Client // of the driver's clients, by number
}

// tryTimeout is how long a client waits for one replica before it sends its message to the next one. The session keeps a
// message that was only slow from running twice. setupTimeout is the same for installations, which compile.
const (
	tryTimeout   = 5 * time.Second
	setupTimeout = 2 * time.Minute
)

func newRemote(members []Member) (*remote, error) {
	r := &remote{clients: map[int]*node.Client{}}
	for _, m := range members {
		r.names = append(r.names, m.ID)
		r.addresses = append(r.addresses, m.HTTP)
	}
	var err error
	r.client, err = node.NewClient(node.ClientConfig{Addresses: r.addresses, Timeout: setupTimeout})
	for _, m := range members {
		r.replicas = append(r.replicas, &remoteReplica{client: r.client, address: m.HTTP})
	}
	return r, err
}

// close frees the connections.
func (r *remote) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.clients {
		c.Close()
	}
	r.client.Close()
}

// hasLeader reports whether all replicas answer and one of them leads.
func (r *remote) hasLeader(ctx context.Context) bool {
	leads := false
	for _, replica := range r.replicas {
		report, err := replica.Report(ctx)
		if err != nil {
			return false
		}
		leads = leads || report.Role == "leader"
	}
	return leads
}

// newestRound is the newest round of any replica, once everything that was committed before the call is applied by the
// leader.
func (r *remote) newestRound(ctx context.Context) (fsm.RoundNumber, error) {
	if _, err := r.client.OpenSession(ctx); err != nil {
		return 0, fmt.Errorf("the cluster takes no messages: %w", err)
	}
	newest := fsm.RoundNumber(0)
	for i, replica := range r.replicas {
		report, err := replica.Report(ctx)
		if err != nil {
			return 0, fmt.Errorf("status of %s: %w", r.names[i], err)
		}
		newest = max(newest, report.Round)
	}
	return newest, nil
}

// install installs modules under their names. A canister that is there with the same module is left as it is.
func (r *remote) install(ctx context.Context, modules []workload.Module) error {
	r.modules = modules
	for _, m := range modules {
		there, err := r.has(ctx, m)
		for !there && err == nil {
			there, err = r.installOne(ctx, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// installOne tries to install a module once. Without an error the canister is there, or the try's end is unknown.
func (r *remote) installOne(ctx context.Context, m workload.Module) (there bool, err error) {
	response, err := r.client.Install(ctx, m.Name, m.Wasm, m.Arg)
	var call *node.CallError
	switch {
	case errors.As(err, &call) && call.Outcome == node.OutcomeUnknown && ctx.Err() == nil:
		return r.has(ctx, m)
	case err != nil:
		return false, fmt.Errorf("install canister %s: %w", m.Name, err)
	case response.Status == fsm.StatusReplied || response.Status == fsm.StatusNoReply:
		return true, nil
	}
	// An earlier try of unknown end may have made it after all.
	if there, err := r.has(ctx, m); there || err != nil {
		return there, err
	}
	return false, m.NotInstalled(response.Status, response.Text)
}

// has reports whether the cluster has a canister with this name and module, as far as its replicas answer: one may have been
// killed and be on its way back. Another module under the name is an error, and so is it if nobody answers.
func (r *remote) has(ctx context.Context, m workload.Module) (bool, error) {
	found, silent := false, []error(nil)
	for _, address := range r.addresses {
		status, err := r.client.Status(ctx, address)
		if err != nil {
			silent = append(silent, err)
			continue
		}
		i := slices.IndexFunc(status.Canisters, func(c node.CanisterReport) bool { return c.Name == m.Name })
		if i < 0 {
			continue
		}
		if have := status.Canisters[i].Module; have != m.Hash.String() {
			return false, fmt.Errorf("canister %s exists already with another module (%.16s…, not %.16s…): use another name or another data folder",
				m.Name, have, m.Hash)
		}
		found = true
	}
	if len(silent) == len(r.addresses) {
		return false, fmt.Errorf("look for canister %s: %w", m.Name, errors.Join(silent...))
	}
	return found, nil
}

// complete adds the modules of needed canisters that are neither given nor in the cluster.
func (r *remote) complete(ctx context.Context, given []workload.Module, needed []string) ([]workload.Module, error) {
	if len(needed) == 0 {
		return given, nil
	}
	there, err := r.canisters(ctx)
	if err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(slices.Clone(needed), func(name string) bool { return slices.Contains(there, name) })
	modules, err := workload.CompleteModules(given, missing)
	if err != nil {
		return nil, fmt.Errorf("the cluster has no such canister, and %w", err)
	}
	return modules, nil
}

// canisters lists the names of the canisters that any replica knows.
func (r *remote) canisters(ctx context.Context) ([]string, error) {
	var names []string
	for i, address := range r.addresses {
		status, err := r.client.Status(ctx, address)
		if err != nil {
			return nil, fmt.Errorf("ask %s for its canisters: %w", r.names[i], err)
		}
		for _, c := range status.Canisters {
			names = append(names, c.Name)
		}
	}
	return names, nil
}

// Equipment is what a cluster's replicas really use, where they were told to choose. "" is unknown.
type Equipment struct {
	Tracker, OptLevel string
}

// equipment asks a replica what it uses; all run the same program on the same machine.
func (r *remote) equipment(ctx context.Context) Equipment {
	status, err := r.client.Status(ctx, r.addresses[0])
	if err != nil {
		return Equipment{}
	}
	return Equipment{Tracker: status.Tracker, OptLevel: status.OptLevel}
}

// connect gives one of the driver's clients a session. Each asks another replica first.
func (r *remote) connect(ctx context.Context, number int) (Caller, error) {
	client, err := r.clientOf(number)
	if err != nil {
		return nil, err
	}
	session, err := client.OpenSession(ctx)
	if err != nil {
		return nil, err
	}
	return &remoteCaller{client: client, session: session, modules: r.modules}, nil
}

func (r *remote) clientOf(number int) (*node.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.clients[number]; c != nil {
		return c, nil
	}
	first := number % len(r.addresses)
	c, err := node.NewClient(node.ClientConfig{
		Addresses: slices.Concat(r.addresses[first:], r.addresses[:first]), Timeout: tryTimeout,
	})
	if err == nil {
		r.clients[number] = c
	}
	return c, err
}

// remoteCaller sends one client's messages: updates in its session, queries and changes of a canister's life outside it.
type remoteCaller struct {
	client  *node.Client
	session *node.Session
	modules []workload.Module
}

// Call sends a message and waits for its outcome.
func (c *remoteCaller) Call(ctx context.Context, m workload.Message) (fsm.Status, error) {
	response, err := c.send(ctx, m)
	var call *node.CallError
	if errors.As(err, &call) && call.Outcome == node.OutcomeRefused {
		return 0, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return response.Status, err
}

func (c *remoteCaller) send(ctx context.Context, m workload.Message) (node.Response, error) {
	switch {
	case m.Query:
		return c.client.Query(ctx, m.Canister, m.Method, m.Arg)
	case m.Change == 0:
		return c.session.Update(ctx, m.Canister, m.Method, m.Arg)
	}
	change, err := m.Replicated(c.modules)
	if err != nil {
		return node.Response{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return c.client.Change(ctx, m.Canister, change)
}

// remoteReplica asks one replica over its client port.
type remoteReplica struct {
	client  *node.Client
	address string
}

// Report asks for the replica's status.
func (r *remoteReplica) Report(ctx context.Context) (ReplicaReport, error) {
	s, err := r.client.Status(ctx, r.address)
	if err != nil {
		return ReplicaReport{}, err
	}
	root, err := parseRoot(s.Root)
	if err != nil {
		return ReplicaReport{}, err
	}
	report := ReplicaReport{
		Incarnation: s.Started.Format(time.RFC3339Nano) + " " + strconv.Itoa(s.Restarts),
		Role:        s.Role, Term: s.Term, Round: fsm.RoundNumber(s.Round), Root: Root(root),
		Checkpoint: fsm.RoundNumber(s.Checkpoints.Round), CheckpointFailure: s.Checkpoints.Failure,
		Joining: s.Joining, PID: s.PID,
	}
	if s.State == node.StateDiverged || s.State == node.StateFailed {
		report.Stopped, report.Diverged = s.Reason, s.State == node.StateDiverged
	}
	return report, nil
}

// Roots asks for the roots of the replica's rounds.
func (r *remoteReplica) Roots(ctx context.Context, from fsm.RoundNumber, limit int) ([]fsm.Attestation, error) {
	report, err := r.client.Roots(ctx, r.address, uint64(from), limit)
	if err != nil {
		return nil, err
	}
	var roots []fsm.Attestation
	for _, line := range report.Roots {
		root, err := parseRoot(line.Root)
		if err != nil {
			return nil, err
		}
		if line.Round > 0 {
			roots = append(roots, fsm.Attestation{Round: fsm.RoundNumber(line.Round), Root: root})
		}
	}
	return roots, nil
}

// parseRoot reads a root; "" is that of a replica that has none.
func parseRoot(text string) (pagetrie.Hash, error) {
	if text == "" {
		return pagetrie.Hash{}, nil
	}
	return pagetrie.ParseHash(text)
}

// Counters asks for what the replica's process has counted.
func (r *remoteReplica) Counters(ctx context.Context) (ReplicaCounters, error) {
	s, err := r.client.Status(ctx, r.address)
	return ReplicaCounters{
		Process: s.Started.Format(time.RFC3339Nano), Checkpoints: s.CheckpointsTaken, Installs: s.Installed, Failed: s.Checkpoints.Failed,
	}, err
}

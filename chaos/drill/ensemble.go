package drill

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/fsm"
	"lockstep/pagetrie"
	"lockstep/snapshot"
	"lockstep/testdata"
)

// EnsembleConfig says what an Ensemble is made of.
type EnsembleConfig struct {
	// Dir is a folder for checkpoints and compiled modules; the caller removes it.
	Dir string
	// Replicas is their number; 0 means 3. SizeMiB is about what the canisters hold; 0 means 16.
	Replicas, SizeMiB int
	Seed              uint64
}

// Ensemble is several replicas in one process: state machines with stores of checkpoints over one log, without raft. Drills on
// it take the paths of a real replica wherever these do not go through raft. It is used by one goroutine.
type Ensemble struct {
	cfg      EnsembleConfig
	random   *rand.Rand
	engine   *canister.Engine
	log      []*fsm.Round // entry i is at log index i+1
	roots    []pagetrie.Hash
	replicas []*member
	// witness is the undisturbed replica.
	witness *member
	drills  int
}

// member is one replica.
type member struct {
	name    string
	dir     string
	machine *fsm.Machine
	store   *snapshot.Store
	applied uint64
}

// NewEnsemble makes the replicas and fills them.
func NewEnsemble(c EnsembleConfig) (*Ensemble, error) {
	if c.Replicas == 0 {
		c.Replicas = 3
	}
	if c.SizeMiB == 0 {
		c.SizeMiB = 16
	}
	e := &Ensemble{cfg: c, random: rand.New(rand.NewPCG(c.Seed, 9))}
	var err error
	if e.engine, err = canister.NewEngine(canister.EngineConfig{CacheDir: filepath.Join(c.Dir, "modules")}); err != nil {
		return nil, err
	}
	for i := range c.Replicas + 1 {
		name := fmt.Sprintf("n%d", i)
		m := &member{name: name, dir: filepath.Join(c.Dir, name)}
		if err := e.open(m); err != nil {
			return nil, errors.Join(err, e.Close())
		}
		e.replicas = append(e.replicas, m)
	}
	e.witness, e.replicas = e.replicas[0], e.replicas[1:]
	if err := e.fill(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (e *Ensemble) fill() error {
	var round fsm.Round
	for _, name := range canisters {
		code, _, err := testdata.Canister(name)
		if err != nil {
			return err
		}
		round.Messages = append(round.Messages, fsm.Message{Kind: fsm.KindInstall, Canister: name, Module: code})
	}
	e.log = append(e.log, &round)
	for i := range e.cfg.SizeMiB {
		e.log = append(e.log, &fsm.Round{Time: int64(i), Messages: []fsm.Message{{Kind: fsm.KindUpdate, Canister: "memory", Method: "sequential",
			Arg: fmt.Appendf(nil, "pages=%d seed=%d", (i+1)*256, i)}}})
	}
	if err := e.catchUp(); err != nil {
		return err
	}
	return e.checkpointAll()
}

// open starts a replica from its newest sound checkpoint, as a node does.
func (e *Ensemble) open(m *member) (err error) {
	if m.store, err = snapshot.OpenStore(snapshot.Config{Dir: m.dir, Keep: 2, Hashing: fsm.Hashing(), VerifyOnOpen: snapshot.VerifyPages}); err != nil {
		return err
	}
	if m.machine, err = fsm.New(fsm.Config{Engine: e.engine}); err != nil {
		return err
	}
	m.applied = 0
	for {
		metas, err := m.store.List()
		if err != nil || len(metas) == 0 {
			return err
		}
		c, err := m.store.OpenCheckpoint(metas[0].ID)
		if snapshot.IsDamage(err) || errors.Is(err, snapshot.ErrNoCheckpoint) {
			continue // it was set aside, or a merge took its place
		}
		if err != nil {
			return err
		}
		m.applied = c.Index
		return errors.Join(m.machine.RestoreCheckpoint(c), c.Close())
	}
}

func (m *member) close() error {
	var errs []error
	if m.machine != nil {
		errs = append(errs, m.machine.Close())
	}
	if m.store != nil {
		errs = append(errs, m.store.Close())
	}
	m.machine, m.store = nil, nil
	return errors.Join(errs...)
}

// work adds a few rounds to the log.
func (e *Ensemble) work(rounds int) {
	for range rounds {
		round := &fsm.Round{Time: int64(len(e.log)) * 1000}
		for range 4 {
			round.Messages = append(round.Messages, fsm.Message{Kind: fsm.KindUpdate, Canister: "kv", Method: "put",
				Arg: fmt.Appendf(nil, "k%d=%d", e.random.IntN(1000), e.random.Uint32())})
		}
		round.Messages = append(round.Messages, fsm.Message{Kind: fsm.KindUpdate, Canister: "memory", Method: "random",
			Arg: fmt.Appendf(nil, "pages=64 seed=%d", e.random.Uint32())})
		e.log = append(e.log, round)
	}
}

// catchUp applies the log on the witness and on every replica that runs, and compares every root with the witness's.
func (e *Ensemble) catchUp() error {
	for _, m := range append([]*member{e.witness}, e.replicas...) {
		for m.machine != nil && m.applied < uint64(len(e.log)) {
			result, err := m.machine.ApplyRound(m.applied+1, e.log[m.applied])
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			m.applied++
			if m == e.witness {
				e.roots = append(e.roots, result.Root)
			} else if want := e.roots[m.applied-1]; result.Root != want {
				return violation("%s has root %s after round %d, undisturbed it is %s", m.name, result.Root, result.Round, want)
			}
		}
	}
	return nil
}

func (e *Ensemble) checkpointAll() error {
	for _, m := range e.replicas {
		if err := m.checkpoint(); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

func (m *member) checkpoint() error {
	captured, err := m.machine.Snapshot()
	if err != nil {
		return err
	}
	defer captured.Release()
	sink, err := m.store.Create(raft.SnapshotVersionMax, m.applied, 1, raft.Configuration{}, 1, nil)
	if err != nil {
		return err
	}
	return captured.Persist(sink)
}

// Close ends all replicas.
func (e *Ensemble) Close() error {
	var errs []error
	for _, m := range e.replicas {
		errs = append(errs, m.close())
	}
	if e.witness != nil {
		errs = append(errs, e.witness.close())
	}
	e.engine.Close()
	return errors.Join(errs...)
}

// Drill runs the next drill in turn and gives its name. An error is a violation, or the world's.
func (e *Ensemble) Drill() (string, error) {
	drills := []struct {
		name string
		run  func() error
	}{{"restart", e.restart}, {"wipe", e.wipe}, {"corrupt", e.corrupt}, {"rollback", e.rollback}, {"cluster-loss", e.loss}}
	d := drills[e.drills%len(drills)]
	e.drills++
	e.work(4)
	if err := errors.Join(e.catchUp(), e.checkpointAll()); err != nil {
		return d.name, err
	}
	e.work(2)
	if err := e.catchUp(); err != nil {
		return d.name, err
	}
	if err := d.run(); err != nil {
		return d.name, fmt.Errorf("%s: %w", d.name, err)
	}
	e.work(1)
	return d.name, e.catchUp()
}

// victim is another replica each time.
func (e *Ensemble) victim() *member { return e.replicas[e.random.IntN(len(e.replicas))] }

func (e *Ensemble) restart() error {
	v := e.victim()
	return errors.Join(v.close(), e.open(v))
}

// wipe loses a replica's disk; a peer's checkpoint is transferred to it.
func (e *Ensemble) wipe() error {
	v := e.victim()
	if err := errors.Join(v.close(), os.RemoveAll(v.dir)); err != nil {
		return err
	}
	if err := e.open(v); err != nil {
		return err
	}
	peer := e.replicas[0]
	if peer == v {
		peer = e.replicas[1]
	}
	if err := transfer(peer.store, v.store); err != nil {
		return err
	}
	if err := v.close(); err != nil {
		return err
	}
	if err := e.open(v); err != nil {
		return err
	}
	if v.applied == 0 {
		return errors.New("the transferred checkpoint is not there")
	}
	return nil
}

// transfer brings the newest checkpoint of one store into another, as raft's stream does.
func transfer(from, to *snapshot.Store) error {
	metas, err := from.List()
	if err != nil || len(metas) == 0 {
		return errors.Join(err, errors.New("the peer has no checkpoint"))
	}
	meta, reader, err := from.Open(metas[0].ID)
	if err != nil {
		return err
	}
	defer reader.Close()
	sink, err := to.Create(meta.Version, meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex, nil)
	if err != nil {
		return err
	}
	if _, err := copyAll(sink, reader); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

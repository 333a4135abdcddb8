package bench

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
	"lockstep/snapshot"
	"lockstep/testdata"
)

// machine is a state machine with its checkpoints, driven by hand.
type machine struct {
	*fsm.Machine
	checkpoints *snapshot.Store
	dir         string
	index       uint64
}

func (b *run) newMachine(name string) (*machine, error) {
	m, err := fsm.New(fsm.Config{Engine: b.engine})
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, name)
	s, err := snapshot.OpenStore(snapshot.Config{Dir: dir, Hashing: fsm.Hashing(), VerifyOnOpen: snapshot.VerifyIndexes, Merge: snapshot.MergeWhenAsked})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return &machine{Machine: m, checkpoints: s, dir: dir}, nil
}

func (m *machine) close() error { return errors.Join(m.checkpoints.Close(), m.Close()) }

// apply applies a round of messages, all of which must be replied to.
func (m *machine) apply(messages ...fsm.Message) error {
	m.index++
	result, err := m.ApplyRound(m.index, &fsm.Round{Time: int64(m.index), Messages: messages})
	if err != nil {
		return err
	}
	for i := range result.Results {
		if r := &result.Results[i]; r.Status != fsm.StatusReplied {
			return fmt.Errorf("message %d of round %d: %s: %s", i, result.Round, r.Status, r.Text)
		}
	}
	return nil
}

func (m *machine) install(name string) error {
	code, _, err := testdata.Canister(name)
	if err != nil {
		return err
	}
	return m.apply(fsm.Message{Kind: fsm.KindInstall, Canister: name, Module: code})
}

func message(canister, method, arg string) fsm.Message {
	return fsm.Message{Kind: fsm.KindUpdate, Canister: canister, Method: method, Arg: []byte(arg)}
}

// persist writes what was captured.
func (m *machine) persist(captured raft.FSMSnapshot, index uint64) error {
	defer captured.Release()
	sink, err := m.checkpoints.Create(raft.SnapshotVersionMax, index, 1, raft.Configuration{}, 1, nil)
	if err != nil {
		return err
	}
	return captured.Persist(sink)
}

func (m *machine) checkpoint() error {
	captured, err := m.Snapshot()
	if err != nil {
		return err
	}
	return m.persist(captured, m.index)
}

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"lockstep/node/logfile"
)

// gapError reports a log that no readable checkpoint reaches: nobody can tell the state before the log's first entry, or the one
// that this replica had acknowledged.
type gapError struct {
	first uint64 // of the log, 0 if it is empty
	at    uint64 // index of the newest readable checkpoint, 0 for none
	// acknowledged is the index of a checkpoint that a leader was told is here; 0 when log and checkpoints reach that far.
	acknowledged uint64
}

func (e *gapError) Error() string {
	if e.acknowledged > 0 {
		return fmt.Sprintf("the checkpoint at index %d, which a leader was told is here, cannot be restored, and log and older checkpoints end before it", e.acknowledged)
	}
	if e.at == 0 {
		return fmt.Sprintf("the log begins at index %d, and there is no readable checkpoint: the entries before are lost", e.first)
	}
	return fmt.Sprintf("the log begins at index %d, after the newest readable checkpoint at index %d: the entries between are lost", e.first, e.at)
}

// unusable reports whether an opening failed because of what is on the disk, in a way that no other opening can do better.
func unusable(err error) bool {
	var gap *gapError
	var damage *logfile.DamageError
	return errors.As(err, &gap) || errors.As(err, &damage) || damagedEntry(err)
}

// damagedEntry reports whether a replica ended because its log holds an entry, or a value beside it, that was damaged where it lies. It
// would end again whenever that is read, however often it is started: as a leader, as soon as a follower lags.
func damagedEntry(reason error) bool {
	var entry *EntryError
	var value *StableError
	return errors.As(reason, &entry) || errors.As(reason, &value)
}

// errNoneRestored marks a failed opening that found damage in every checkpoint that the log joins on to, and has set them aside. The
// next opening sees the others, if there are any.
var errNoneRestored = errors.New("no checkpoint that the log joins on to can be restored")

// asider is a Ground that can put away what a replica cannot use. The next Open then finds nothing, as in a folder that was
// wiped, and the replica is joining, strictly (joiner).
type asider interface {
	// SetAside says where it has put the log and the checkpoints. Nothing of the ground may be open.
	SetAside() (string, error)
}

// openReplicaOrAside opens a ground. If its log is damaged, or does not join its checkpoints, and other members can send what is
// lost, both are put aside, and the replica starts with nothing.
func openReplicaOrAside(cfg *Config, ground Ground, m *metrics, cut *conflict) (*replica, error) {
	r, err := openReplica(cfg, ground, m, cut)
	for errors.Is(err, errNoneRestored) { // each time there are fewer
		cfg.Logger.Warn("no checkpoint could be restored; opening without", "err", err)
		r, err = openReplica(cfg, ground, m, cut)
	}
	if !unusable(err) {
		return r, err
	}
	return openAside(cfg, ground, m, err)
}

// openAside puts log and checkpoints aside, for a reason, and opens the ground with nothing.
func openAside(cfg *Config, ground Ground, m *metrics, reason error) (*replica, error) {
	a, able := ground.(asider)
	if !able || len(cfg.Peers) < 2 {
		return nil, fmt.Errorf("%w; no other replica can send it: put a sound copy of the data folder in its place, or move it away and start the node with an empty one, which begins with nothing", reason)
	}
	where, err := a.SetAside()
	if err != nil {
		return nil, errors.Join(reason, fmt.Errorf("set log and checkpoints aside: %w", err))
	}
	cfg.Logger.Error("log and checkpoints cannot be used and were set aside: this replica votes for nobody until a leader has sent it the state",
		"kept", where, "err", reason)
	r, err := openReplica(cfg, ground, m, nil)
	if err == nil {
		r.setAside = fmt.Sprintf("%s: %v", where, reason)
	}
	return r, err
}

// SetAside implements asider. A crash in between leaves a folder that is set aside again at the next start: the marker comes
// first, and the log, which shows the gap, last.
func (g *folderGround) SetAside() (string, error) {
	where := g.dir.file(setAsideDir, time.Now().UTC().Format("20060102T150405.000000000Z"))
	if err := os.MkdirAll(where, 0o755); err != nil {
		return "", err
	}
	if err := writeFileSynced(g.dir.file(joiningFile), []byte(joiningStrictly)); err != nil {
		return "", err
	}
	for _, name := range []string{checkpointsDir, raftFile} {
		err := os.Rename(g.dir.file(name), filepath.Join(where, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if err := syncDir(g.dir.path); err != nil {
			return "", err
		}
	}
	return where, nil
}

// syncDir makes what was renamed in a folder outlast a crash.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

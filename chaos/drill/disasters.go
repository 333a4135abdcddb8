package drill

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"lockstep/chaos/replay"
)

// victim is a follower that is not the archive.
func (r *rig) victim() (int, error) {
	leader, err := r.leader()
	for i := len(r.members()) - 1; i > archive; i-- {
		if i != leader {
			return i, err
		}
	}
	return 0, errors.Join(err, errors.New("no replica to choose"))
}

func restartOne(r *rig) error {
	v, err := r.victim()
	if err != nil {
		return err
	}
	if err := r.end(syscall.SIGTERM, v); err != nil {
		return err
	}
	if err := r.work(2 * checkpointEvery); err != nil {
		return err
	}
	r.fact("%s was down for %d messages", r.members()[v].ID, 2*checkpointEvery)
	return r.start(v)
}

// wipe loses the disks of the last n replicas. The archive must not lead: its log reaches back so far that nobody would be
// sent a checkpoint.
func wipe(r *rig, n int) error {
	victims := r.all()[len(r.members())-n:]
	if _, err := r.leaderElsewhere(append([]int{archive}, victims...)...); err != nil {
		return err
	}
	if err := r.end(syscall.SIGKILL, victims...); err != nil {
		return err
	}
	for _, v := range victims {
		if err := os.RemoveAll(r.dir(v)); err != nil {
			return err
		}
	}
	if err := r.work(2 * checkpointEvery); err != nil {
		return err
	}
	if err := r.start(victims...); err != nil {
		return err
	}
	for _, v := range victims {
		if err := r.wait(r.members()[v].ID+" has a state again", func() bool { s, ok := r.status(v); return ok && s.Round > 0 }); err != nil {
			return err
		}
		how := "from the log"
		if sent := r.sentTo(v); sent.pages > 0 {
			how = fmt.Sprintf("from a checkpoint: %s", sent)
		}
		r.fact("%s came back from an empty disk, %s", r.members()[v].ID, how)
	}
	return nil
}

func corruptCheckpoint(r *rig, ofLeader bool) error {
	v, err := r.victim()
	if ofLeader && err == nil { // the archive must not need anything from others
		v, err = r.leaderElsewhere(archive)
	}
	if err != nil {
		return err
	}
	if err := r.end(syscall.SIGKILL, v); err != nil {
		return err
	}
	name, err := r.corruptNewest(v)
	if err != nil {
		return err
	}
	if err := r.work(2 * checkpointEvery); err != nil {
		return err
	}
	if err := r.start(v); err != nil {
		return err
	}
	aside := filepath.Join(r.dir(v, "checkpoints"), "damaged-"+name)
	if err := r.wait(aside+" was set aside", func() bool { _, err := os.Stat(aside); return err == nil }); err != nil {
		return err
	}
	r.fact("%s set %s aside", r.members()[v].ID, name)
	return nil
}

// corruptNewest damages the newest checkpoint of a replica and gives the checkpoint's name.
func (r *rig) corruptNewest(v int) (string, error) {
	paths, err := replay.ListCheckpoints(r.dir(v, "checkpoints"))
	if err != nil || len(paths) == 0 {
		return "", errors.Join(err, undecided("%s has no checkpoint to damage", r.members()[v].ID))
	}
	newest := paths[len(paths)-1]
	what, err := damageLargest(newest)
	r.step("%s", what)
	return filepath.Base(newest), err
}

// damageLargest flips a bit in the middle of the largest file of a checkpoint and says where.
func damageLargest(dir string) (what string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	largest, size := "", int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Size() > size {
			largest, size = filepath.Join(dir, e.Name()), info.Size()
		}
	}
	// A file of its own: other checkpoints may share the old one by hard link.
	content, err := os.ReadFile(largest)
	if err != nil {
		return "", err
	}
	content[len(content)/2] ^= 0x40
	if err := os.Remove(largest); err != nil {
		return "", err
	}
	return fmt.Sprintf("flipped a bit at offset %d of %s", len(content)/2, largest), os.WriteFile(largest, content, 0o444)
}

// lastWords is the last error line that a replica printed.
func (r *rig) lastWords(v int) string {
	text, err := os.ReadFile(r.folder.LogPath(r.members()[v].ID))
	if err != nil {
		return err.Error()
	}
	last := "nothing"
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "error: ") || strings.HasPrefix(line, "panic: ") {
			last = strings.TrimSpace(line)
		}
	}
	return last
}

// rollback removes the newest checkpoint of every replica.
func rollback(r *rig) error {
	if err := r.end(syscall.SIGTERM, r.all()...); err != nil {
		return err
	}
	for _, i := range r.all() {
		paths, err := replay.ListCheckpoints(r.dir(i, "checkpoints"))
		if err != nil || len(paths) < 2 {
			return errors.Join(err, undecided("%s has %d checkpoints, this drill needs two", r.members()[i].ID, len(paths)))
		}
		if err := removeSameEntry(paths[len(paths)-1]); err != nil {
			return err
		}
		r.fact("%s goes back to %s", r.members()[i].ID, filepath.Base(paths[len(paths)-2]))
	}
	if err := r.start(r.all()...); err != nil {
		return err
	}
	return r.agree() // which waits for all rounds that were there before, and compares their roots
}

// removeSameEntry removes a checkpoint and those that it has replaced.
func removeSameEntry(path string) error {
	prefix := path[:strings.LastIndexByte(path, '-')+1]
	same, err := filepath.Glob(prefix + "*")
	for _, p := range same {
		err = errors.Join(err, os.RemoveAll(p))
	}
	if len(same) == 0 {
		err = errors.Join(err, fmt.Errorf("%s is gone", path))
	}
	return err
}

package drill

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"lockstep/node"
)

// fullMiB is the size of the small disk.
const fullMiB = 96

// diskFull puts a follower's data folder on a small disk of its own: a tmpfs in a name space of the replica's process, for which
// no privilege is needed where the system allows user name spaces. From outside it is reached over /proc.
func diskFull(r *rig) error {
	if out, err := exec.CommandContext(r.ctx, "unshare", "-Urm", "sh", "-c", "mount -t tmpfs none /mnt").CombinedOutput(); err != nil {
		return skipped("this system lets no ordinary user mount a file system of its own: unshare -Urm: %v: %s", err, strings.TrimSpace(string(out)))
	}
	v, err := r.victim()
	if err != nil {
		return err
	}
	if err := r.end(syscall.SIGTERM, v); err != nil {
		return err
	}
	// Its checkpoints are lost with the small disk when it ends, so it begins and ends without any: as a wiped one.
	if err := errors.Join(os.RemoveAll(r.dir(v)), os.MkdirAll(r.dir(v), 0o755)); err != nil {
		return err
	}
	return r.fillDisk(v)
}

func (r *rig) fillDisk(v int) error {
	// The data folder itself is the small disk: a node accepts an empty one.
	mount := fmt.Sprintf(`mount -t tmpfs -o size=%dm none "$0" && exec "$@"`, fullMiB+8*r.cfg.SizeMiB)
	r.wrap[v] = []string{"unshare", "-Urm", "sh", "-c", mount, r.dir(v)}
	defer delete(r.wrap, v)
	if err := r.start(v); err != nil {
		return err
	}
	if err := r.wait("the replica has joined on the small disk", func() bool {
		s, ok := r.status(v)
		return ok && !s.Joining && s.Round > 0 && s.Checkpoints.Count > 0
	}); err != nil {
		return err
	}
	return r.fillAndFree(v)
}

// fillAndFree fills the disk, waits for what a replica then does, gives the space back and waits for its recovery.
func (r *rig) fillAndFree(v int) error {
	root := fmt.Sprintf("/proc/%d/root", r.processes[v].cmd.Process.Pid)
	filler := filepath.Join(root, r.dir(v), "filler")
	if err := fillUp(filler); err != nil {
		return skipped("the small disk can't be reached from outside: %v", err)
	}
	r.step("the disk of %s is full", r.members()[v].ID)
	failed := func() bool {
		s, ok := r.status(v)
		return !r.processes[v].running() || ok && (s.Checkpoints.Failure != "" || s.State == node.StateFailed)
	}
	for try := 0; !failed(); try++ {
		if try == 40 {
			return undecided("%s took %d messages and never said that its disk was full", r.members()[v].ID, try*checkpointEvery)
		}
		if err := r.work(checkpointEvery); err != nil {
			return err
		}
	}
	return r.recoverDisk(v, filler)
}

func (r *rig) recoverDisk(v int, filler string) error {
	s, ok := r.status(v)
	if ok && s.State == node.StateRunning {
		r.fact("%s went on without a checkpoint: %s", r.members()[v].ID, s.Checkpoints.Failure)
		if err := os.Remove(filler); err != nil {
			return err
		}
		taken := s.Checkpoints.Index
		for try := 0; ; try++ {
			if s, ok = r.status(v); ok && s.Checkpoints.Failure == "" && s.Checkpoints.Index > taken {
				r.fact("with the space back it took a checkpoint at index %d", s.Checkpoints.Index)
				break
			}
			if try == 40 {
				return undecided("%s took no checkpoint after its disk had space again: %s", r.members()[v].ID, s.Checkpoints.Failure)
			}
			if err := r.work(checkpointEvery); err != nil {
				return err
			}
		}
		if err := r.agree(); err != nil {
			return err
		}
	} else {
		r.fact("%s stopped: %s %s", r.members()[v].ID, s.Reason, r.lastWords(v))
	}
	// The small disk goes with the process; the replica comes back as one that lost its disk.
	if err := r.end(syscall.SIGTERM, v); err != nil {
		return err
	}
	delete(r.wrap, v)
	if err := errors.Join(os.RemoveAll(r.dir(v)), os.MkdirAll(r.dir(v), 0o755)); err != nil {
		return err
	}
	return r.start(v)
}

// fillUp writes a file until the disk is full.
func fillUp(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = file.Write(block)
	}
	if closing := file.Close(); !errors.Is(err, syscall.ENOSPC) {
		return errors.Join(err, closing)
	}
	return nil
}

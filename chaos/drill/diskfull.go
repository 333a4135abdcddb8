package drill

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"lockstep/node"
)

// diskFull puts a follower's checkpoints on a small disk of their own: a tmpfs in a name space of the replica's process, for which
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
	small := filepath.Join(r.folder.Path, "small-disk")
	if err := os.MkdirAll(small, 0o755); err != nil {
		return err
	}
	room, err := folderSize(r.dir(v, "checkpoints"))
	if err != nil {
		return err
	}
	// Enough for what is there, a checkpoint more and a merge.
	script := fmt.Sprintf(`mount -t tmpfs -o size=%dm none "$0" && cp -a "$1/." "$0" && mount --bind "$0" "$1" && shift && exec "$@"`, 32+3*(room>>20))
	r.wrap[v] = []string{"unshare", "-Urm", "sh", "-c", script, small, r.dir(v, "checkpoints")}
	defer delete(r.wrap, v)
	if err := r.start(v); err != nil {
		return err
	}
	if err := r.agree(); err != nil {
		return err
	}
	inside := filepath.Join(fmt.Sprintf("/proc/%d/root", r.processes[v].cmd.Process.Pid), r.dir(v, "checkpoints"))
	if err := r.fillAndFree(v, filepath.Join(inside, "filler")); err != nil {
		return err
	}
	return r.leaveSmallDisk(v, inside)
}

// folderSize adds up a folder's files.
func folderSize(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

// fillAndFree fills the disk, waits until a checkpoint fails, gives the space back and waits until one succeeds.
func (r *rig) fillAndFree(v int, filler string) error {
	if err := fillUp(filler); err != nil {
		return skipped("the small disk can't be reached from outside: %v", err)
	}
	r.step("the disk under the checkpoints of %s is full", r.members()[v].ID)
	full, err := r.workUntil("a checkpoint fails", func() bool {
		s, ok := r.status(v)
		return ok && s.Checkpoints.Failure != ""
	})
	if err != nil {
		return err
	}
	s, ok := r.status(v)
	if !ok || s.State != node.StateRunning {
		return undecided("%s does not go on when its disk is full: %s %s", r.members()[v].ID, s.Reason, r.lastWords(v))
	}
	r.fact("%s went on for %d messages without space for a checkpoint: %s", s.Node, full, s.Checkpoints.Failure)
	if err := os.Remove(filler); err != nil {
		return err
	}
	taken := s.Checkpoints.Index
	_, err = r.workUntil("a checkpoint succeeds", func() bool {
		s, ok = r.status(v)
		return ok && s.Checkpoints.Failure == "" && s.Checkpoints.Index > taken
	})
	if err == nil {
		r.fact("with the space back it took a checkpoint at index %d", s.Checkpoints.Index)
	}
	return err
}

// workUntil lets the cluster work until something holds, and says how many messages that took.
func (r *rig) workUntil(what string, holds func() bool) (messages int, err error) {
	const most = 40
	for try := 0; !holds(); try++ {
		if try == most {
			return messages, undecided("in %d messages it was not seen that %s", messages, what)
		}
		if err := r.work(checkpointEvery); err != nil {
			return messages, err
		}
		messages += checkpointEvery
	}
	return messages, nil
}

// leaveSmallDisk copies the checkpoints back, since the small disk goes with the process, and starts the replica as before.
func (r *rig) leaveSmallDisk(v int, inside string) error {
	if err := r.agree(); err != nil {
		return err
	}
	kept := filepath.Join(r.folder.Path, "checkpoints-of-the-small-disk")
	if err := copyFolder(inside, kept); err != nil {
		return err
	}
	if err := r.end(syscall.SIGTERM, v); err != nil {
		return err
	}
	delete(r.wrap, v)
	checkpoints := r.dir(v, "checkpoints")
	if err := errors.Join(os.RemoveAll(checkpoints), os.Rename(kept, checkpoints)); err != nil {
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

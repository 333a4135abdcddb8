package drill

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"time"
)

// kills is how often a drill kills.
const kills = 4

// killAt lets the cluster work until something appears in the victim's folder of checkpoints, and kills the victim a random
// moment later.
func (r *rig) killAt(v int, what string, appears func(names []string) bool) (hit bool, err error) {
	worked := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				worked <- nil
				return
			default:
			}
			if err := r.work(8); err != nil {
				worked <- err
				return
			}
		}
	}()
	err = r.poll(what, func() bool { return appears(names(r.dir(v, "checkpoints"))) })
	if err == nil {
		spin(time.Duration(3*r.draw(1)[0]) * time.Microsecond)
		err = r.processes[v].end(syscall.SIGKILL)
		r.processes[v] = nil
	}
	close(stop)
	return appears(names(r.dir(v, "checkpoints"))), errors.Join(err, <-worked)
}

// poll is wait without a pause: what is looked for may be there for less than a millisecond.
func (r *rig) poll(what string, holds func() bool) error {
	for deadline := time.Now().Add(patience); !holds(); {
		if r.ctx.Err() != nil || time.Now().After(deadline) {
			return undecided("within %v it was not seen: %s", patience, what)
		}
	}
	return nil
}

// spin lets a moment pass that is shorter than a timer's.
func spin(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
}

func names(dir string) []string {
	entries, _ := os.ReadDir(dir) // one that is missing has none
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// killRepeatedly kills a follower at the moments that appears describes, and starts it again each time.
func (r *rig) killRepeatedly(what string, appears func([]string) bool) error {
	v, err := r.victim()
	if err != nil {
		return err
	}
	hits := 0
	for range kills {
		hit, err := r.killAt(v, what, appears)
		if err != nil {
			return err
		}
		if hit {
			hits++
		}
		if err := r.start(v); err != nil {
			return err
		}
		if err := r.wait("the replica answers again", func() bool { _, ok := r.status(v); return ok }); err != nil {
			return err
		}
	}
	r.fact("%d kills of %s, %d of them left %s on its disk", kills, r.members()[v].ID, hits, what)
	if hits == 0 {
		return undecided("no kill hit %s", what)
	}
	return nil
}

func killInCheckpoint(r *rig) error {
	return r.killRepeatedly("an unfinished checkpoint", func(n []string) bool { return unfinished(n, false) })
}

func killInMerge(r *rig) error {
	return r.killRepeatedly("an unfinished merge", func(n []string) bool { return unfinished(n, true) })
}

// unfinished tells a checkpoint that is being written, or a merge, by the temporary folder's name: it holds the name that the
// checkpoint will have, and one with a number above 0 replaces another.
func unfinished(names []string, merge bool) bool {
	for _, n := range names {
		if rest, ok := strings.CutPrefix(n, "tmp-checkpoint-"); ok && merge != strings.HasSuffix(rest, "-0") {
			return true
		}
	}
	return false
}

package drill

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// sent is what checkpoints cost that went to one replica.
type sent struct {
	attempts              int
	pages, known, carried uint64
}

// String says it in a few words.
func (s sent) String() string {
	text := fmt.Sprintf("%d pages, %d KiB on the link", s.pages, s.carried>>10)
	if s.attempts > 1 {
		text = fmt.Sprintf("%d KiB on the link in %d attempts; the last one sent %d pages and found %d there", s.carried>>10, s.attempts, s.pages, s.known)
	}
	return text
}

// sentTo adds up what the other replicas say that they have sent to one.
func (r *rig) sentTo(v int) (total sent) {
	for _, s := range r.statuses() {
		for _, t := range s.Transfers {
			if t.Direction == "sending" && t.Peer == r.members()[v].ID {
				total.attempts++
				total.carried += t.Carried
				total.pages, total.known = t.Pages, t.Known
			}
		}
	}
	return total
}

// installPoints are the shares of the state that a replica has received when it is killed, in percent. At the last one
// everything is there, and the checkpoint is put together, verified or installed.
var installPoints = []int64{1, 25, 50, 75, 100}

// killInInstall loses a replica's disk and kills the replica again and again while it is sent a checkpoint. What it has received
// outlasts it: the next attempt goes on from there. The archive must not lead, since nobody would be sent a checkpoint by it.
func killInInstall(r *rig) error {
	v := len(r.members()) - 1
	leader, err := r.leaderElsewhere(archive, v)
	if err != nil {
		return err
	}
	if err := errors.Join(r.end(syscall.SIGKILL, v), os.RemoveAll(r.dir(v))); err != nil {
		return err
	}
	if err := r.work(2 * checkpointEvery); err != nil {
		return err
	}
	s, ok := r.status(leader)
	if !ok || s.Checkpoints.Bytes == 0 {
		return undecided("%s has no checkpoint to send", r.members()[leader].ID)
	}
	hits := 0
	for _, percent := range installPoints {
		hit, err := r.killAtShare(v, percent*s.Checkpoints.Bytes/100)
		if err != nil {
			return err
		}
		if hit {
			hits++
		}
	}
	if err := r.start(v); err != nil {
		return err
	}
	if err := r.wait("the replica has a state", func() bool { s, ok := r.status(v); return ok && s.Round > 0 }); err != nil {
		return err
	}
	total := r.sentTo(v)
	r.fact("%d kills, %d of them in the middle of the transfer; %s for a state of %d KiB", len(installPoints), hits, total, s.Checkpoints.Bytes>>10)
	if hits == 0 || total.known == 0 {
		return undecided("no transfer went on where another one had ended")
	}
	return nil
}

// killAtShare starts a replica and kills it when it has received so many bytes of pages. A hit is a kill before the checkpoint
// was installed.
func (r *rig) killAtShare(v int, bytes int64) (hit bool, err error) {
	if err := r.start(v); err != nil {
		return false, err
	}
	if err := r.poll("pages of a checkpoint", func() bool {
		n, installed := r.received(v)
		return n >= bytes || installed || !r.processes[v].running()
	}); err != nil {
		return false, err
	}
	if err := r.died(); err != nil {
		return false, err
	}
	err = r.processes[v].end(syscall.SIGKILL)
	r.processes[v] = nil
	n, installed := r.received(v)
	r.step("killed with %d KiB received", n>>10)
	return n > 0 && !installed, err
}

// received is the size of the pages that a replica keeps of an unfinished transfer, and whether it has a checkpoint.
func (r *rig) received(v int) (bytes int64, installed bool) {
	entries, _ := os.ReadDir(r.dir(v, "checkpoints")) // one that is missing has none
	for _, e := range entries {
		installed = installed || strings.HasPrefix(e.Name(), "checkpoint-")
		if !strings.HasPrefix(e.Name(), "transfer-") {
			continue
		}
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		}
	}
	return bytes, installed
}

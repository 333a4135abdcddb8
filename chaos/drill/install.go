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
		text = fmt.Sprintf("%d KiB on the link in %d attempts; one of them sent %d pages and found %d there", s.carried>>10, s.attempts, s.pages, s.known)
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
				if t.Known >= total.known {
					total.pages, total.known = t.Pages, t.Known
				}
			}
		}
	}
	return total
}

// installPoint is a moment in the life of a checkpoint that a replica is sent.
type installPoint struct {
	name string
	// reached tells it by what the replica has; whole is the size of the state in bytes.
	reached func(h installing, whole int64) bool
}

// installing is what a replica's folder shows of a checkpoint that it is sent.
type installing struct {
	bytes     int64 // of pages of an unfinished transfer
	assembled bool  // the checkpoint is being put together
	installed bool  // there is one
}

// installPoints are the moments at which a replica is killed. Each is looked for until the checkpoint is there.
func installPoints() (points []installPoint) {
	for _, percent := range []int64{1, 25, 50, 75, 100} {
		points = append(points, installPoint{fmt.Sprintf("%d %% received", percent),
			func(h installing, whole int64) bool { return h.bytes >= percent*whole/100 }})
	}
	return append(points, installPoint{"being put together", func(h installing, _ int64) bool { return h.assembled }},
		installPoint{"just published", func(h installing, _ int64) bool { return h.installed }})
}

// killInInstall loses a replica's disk and kills the replica again and again while it is sent a checkpoint, and when it has published
// it. What it has received outlasts it: the next attempt goes on from there. The archive must not lead, since nobody would be sent
// a checkpoint by it.
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
	for _, p := range installPoints() {
		if err := r.start(v); err != nil {
			return err
		}
		hit, err := r.killInstallingAt(v, v, p, s.Checkpoints.Bytes)
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
	return r.sentOn(v, fmt.Sprintf("%d kills of %s, %d of them in the middle of the transfer", len(installPoints()), r.members()[v].ID, hits), s.Checkpoints.Bytes)
}

// killSender loses a replica's disk and kills the leader while it sends it a checkpoint. The archive is down meanwhile, so that every
// leader has to send one. Three of five are left for a majority, and the killed leader comes back.
func killSender(r *rig) error {
	v := len(r.members()) - 1
	const least = 16 // MiB: less has arrived before the leader is dead
	if err := r.grow(r.sizeMiB(), least); err != nil {
		return err
	}
	if _, err := r.leaderElsewhere(archive, v); err != nil {
		return err
	}
	if err := errors.Join(r.end(syscall.SIGKILL, v), os.RemoveAll(r.dir(v))); err != nil {
		return err
	}
	if err := r.work(2 * checkpointEvery); err != nil {
		return err
	}
	if err := r.end(syscall.SIGTERM, archive); err != nil {
		return err
	}
	hits := 0
	var whole int64
	for _, p := range installPoints()[:4] {
		leader, err := r.leaderElsewhere(v)
		if err != nil {
			return err
		}
		s, ok := r.status(leader)
		if !ok || s.Checkpoints.Bytes == 0 {
			return undecided("%s has no checkpoint to send", r.members()[leader].ID)
		}
		whole = s.Checkpoints.Bytes
		if r.processes[v] == nil {
			if err := r.start(v); err != nil {
				return err
			}
		}
		hit, err := r.killInstallingAt(v, leader, p, whole)
		if err != nil {
			return err
		}
		if r.processes[leader] != nil {
			break // the transfer was too quick
		}
		if err := r.start(leader); err != nil {
			return err
		}
		if hit {
			hits++
		}
	}
	if hits == 0 {
		return undecided("no kill of a leader hit a transfer")
	}
	if err := r.wait("the replica has a state", func() bool { s, ok := r.status(v); return ok && s.Round > 0 }); err != nil {
		return err
	}
	s, _ := r.status(v)
	var lacked []uint64 // KiB, of each attempt
	for _, t := range s.Transfers {
		if t.Direction == "receiving" && (t.Total > 0 || t.State == "done") {
			lacked = append(lacked, t.Total>>10)
		}
	}
	r.fact("%d kills of leaders in the middle of the transfer; of %d KiB %s lacked, attempt by attempt, %d KiB", hits, whole>>10, s.Node, lacked)
	if len(lacked) < 2 || lacked[len(lacked)-1] >= lacked[0] {
		return undecided("no transfer went on where another one had ended")
	}
	return r.start(archive)
}

// sentOn waits for the state that a replica is sent, and tells whether what had come before was of use.
func (r *rig) sentOn(v int, what string, whole int64) error {
	if err := r.wait("the replica has a state", func() bool { s, ok := r.status(v); return ok && s.Round > 0 }); err != nil {
		return err
	}
	total := r.sentTo(v)
	r.fact("%s; %s for a state of %d KiB", what, total, whole>>10)
	if total.known == 0 {
		return undecided("no transfer went on where another one had ended")
	}
	return nil
}

// killInstallingAt kills a replica when another one, or it itself, is at a point of receiving a checkpoint. A hit is a kill before the
// checkpoint was installed. Another one is not killed when that is over.
func (r *rig) killInstallingAt(receiver, victim int, p installPoint, whole int64) (hit bool, err error) {
	if err := r.poll("a checkpoint "+p.name, func() bool {
		h := r.installing(receiver)
		return p.reached(h, whole) || h.installed || !r.processes[receiver].running()
	}); err != nil {
		return false, err
	}
	if err := r.died(); err != nil {
		return false, err
	}
	if victim != receiver && r.installing(receiver).installed {
		return false, nil
	}
	err = r.processes[victim].end(syscall.SIGKILL)
	r.processes[victim] = nil
	h := r.installing(receiver)
	r.step("%s killed, checkpoint %s: %d KiB received, installed %v", r.members()[victim].ID, p.name, h.bytes>>10, h.installed)
	return h.bytes > 0 && !h.installed, err
}

// installing looks at what a replica has.
func (r *rig) installing(v int) (h installing) {
	entries, _ := os.ReadDir(r.dir(v, "checkpoints")) // one that is missing has none
	for _, e := range entries {
		h.installed = h.installed || strings.HasPrefix(e.Name(), "checkpoint-")
		h.assembled = h.assembled || e.Name() == "tmp-transfer"
		if !strings.HasPrefix(e.Name(), "transfer-") {
			continue
		}
		if info, err := e.Info(); err == nil {
			h.bytes += info.Size()
		}
	}
	return h
}

package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"lockstep/canister"
	"lockstep/figure"
	"lockstep/fsm"
	"lockstep/snapshot"
)

// Restored is what RestoreChild measured.
type Restored struct {
	// Milliseconds from the checkpoint's folder to a restored state, and to the end of the first message.
	RestoreMS float64 `json:"restore_ms"`
	FirstMS   float64 `json:"first_ms"`
	// Resident memory in bytes: before, and what the first message's end has more of, without and with pages of mapped files.
	Before    uint64 `json:"before"`
	Anonymous uint64 `json:"anonymous"`
	Mapped    uint64 `json:"mapped"`
	// Files is the number of page files of the largest memory.
	Files int `json:"files"`
}

// RestoreChild restores the newest checkpoint in a store's folder, runs one message that writes ten pages, and says what that took.
// The process should do nothing else before. Compiled modules are in the folder modules beside the store's.
func RestoreChild(dir string) (r *Restored, err error) {
	engine, err := canister.NewEngine(canister.EngineConfig{CacheDir: filepath.Join(filepath.Dir(dir), "modules")})
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	m, err := fsm.New(fsm.Config{Engine: engine, ProveRestored: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	anonymous, mapped, err := resident()
	if err != nil {
		return nil, err
	}
	r = &Restored{Before: anonymous + mapped}
	start := time.Now()
	s, err := snapshot.OpenStore(snapshot.Config{Dir: dir, Hashing: fsm.Hashing(), VerifyOnOpen: snapshot.VerifyOnUse, Merge: snapshot.MergeWhenAsked})
	if err != nil {
		return nil, err
	}
	metas, err := s.List()
	if err != nil || len(metas) == 0 {
		return nil, errors.Join(fmt.Errorf("no checkpoint in %s", dir), err)
	}
	checkpoint, err := s.OpenCheckpoint(metas[0].ID)
	if err != nil {
		return nil, err
	}
	for _, memory := range checkpoint.Memories {
		r.Files = max(r.Files, len(memory.Layers))
	}
	if err := errors.Join(m.RestoreCheckpoint(checkpoint), checkpoint.Close()); err != nil {
		return nil, err
	}
	r.RestoreMS = millis(time.Since(start))
	result, err := m.ApplyRound(metas[0].Index+1, &fsm.Round{Time: 1 << 60, Messages: []fsm.Message{message("memory", "sparse", "pages=10 seed=1")}})
	r.FirstMS = millis(time.Since(start))
	if err != nil {
		return nil, err
	}
	if got := result.Results[0]; got.Status != fsm.StatusReplied {
		return nil, fmt.Errorf("first message: %s: %s", got.Status, got.Text)
	}
	a, f, err := resident()
	r.Anonymous, r.Mapped = a-min(a, anonymous), f-min(f, mapped)
	return r, err
}

// resident reads the process's resident memory.
func resident() (anonymous, mapped uint64, err error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kib uint64
		if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &kib); n == 1 {
			anonymous += kib << 10
		}
		if n, _ := fmt.Sscanf(line, "RssFile: %d kB", &kib); n == 1 {
			mapped += kib << 10
		}
		if n, _ := fmt.Sscanf(line, "RssShmem: %d kB", &kib); n == 1 {
			anonymous += kib << 10
		}
	}
	return anonymous, mapped, nil
}

// restoresMeasured is how many processes restore a state, one after the other.
const restoresMeasured = 9

// pieceMiB is what is written between two checkpoints while a large state is made, so that only so much of it is in memory beside
// the page cache.
const pieceMiB = 128

// restores measures processes that restore states of several sizes.
func (b *run) restores() error {
	if len(b.config.RestoreCommand) == 0 {
		return nil
	}
	var smallest float64
	for i, size := range b.config.Restore {
		b.config.Progress(fmt.Sprintf("restoring %d MiB", size))
		dir, err := b.makeState(size)
		if err != nil {
			return fmt.Errorf("make a state of %d MiB: %w", size, err)
		}
		var all []*Restored
		var first, restored []time.Duration
		for range restoresMeasured + 1 { // the first fills the module cache
			r, err := b.restoreOnce(dir)
			if err != nil {
				return err
			}
			all, first, restored = append(all, r), append(first, time.Duration(r.FirstMS*1e6)), append(restored, time.Duration(r.RestoreMS*1e6))
		}
		r, ms := all[len(all)-1], millis(median(first[1:]))
		if i == 0 {
			smallest = ms
		}
		extra := r.Anonymous + r.Mapped
		f := figure.Figure{Work: fmt.Sprintf("restore of %d MiB to its first message", size), Goal: "50 ms, 64 MiB resident",
			Measured: fmt.Sprintf("%.1f ms (%.2fx of %d MiB), %.1f of them without the message; %d files; %d MiB resident", ms, ms/smallest, b.config.Restore[0],
				millis(median(restored[1:])), r.Files, extra>>20),
			Met:    ms <= 50 && extra <= 64<<20 && ms <= 1.5*smallest,
			Values: map[string]float64{"ms": ms, "anonymous": float64(r.Anonymous), "mapped": float64(r.Mapped), "restore ms": millis(median(restored[1:])), "files": float64(r.Files)}}
		if i > 0 {
			f.Goal += fmt.Sprintf(", 1.5x of %d MiB", b.config.Restore[0])
		}
		b.figure(f)
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

func (b *run) restoreOnce(dir string) (*Restored, error) {
	command := append(b.config.RestoreCommand[1:len(b.config.RestoreCommand):len(b.config.RestoreCommand)], dir)
	c := exec.CommandContext(b.ctx, b.config.RestoreCommand[0], command...)
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("process that restores %s: %w", dir, err)
	}
	r := &Restored{}
	if err := json.Unmarshal(out, r); err != nil {
		return nil, fmt.Errorf("process that restores %s: %w", dir, err)
	}
	return r, nil
}

// makeState makes a store's folder with a checkpoint of a canister that has written so many MiB, in the files that a canister has that
// grows: one for each checkpoint, merged as a node merges them.
func (b *run) makeState(size int) (dir string, err error) {
	m, err := b.newMachine("restore")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	if err := m.install("memory"); err != nil {
		return "", err
	}
	for at := 0; at < size; at += pieceMiB {
		pages := min(pieceMiB, size-at) << 8
		// The area leaves room for the canister's own data below the 4 GiB that it can address.
		if at<<8+pages > 1<<20-512 {
			pages = 1<<20 - 512 - at<<8
		}
		err := m.apply(message("memory", "sequential", fmt.Sprintf("area=%d pages=%d at=%d seed=%d", at<<8+pages, pages, at<<8, at+1)))
		if err != nil {
			return "", err
		}
		if err := m.checkpoint(); err != nil {
			return "", err
		}
		if _, err := m.checkpoints.Merge(); err != nil {
			return "", err
		}
		if err := m.again(); err != nil {
			return "", err
		}
	}
	return m.dir, nil
}

// again goes on from the newest checkpoint: what was written is in files then, and not in memory.
func (m *machine) again() error {
	metas, err := m.checkpoints.List()
	if err != nil {
		return err
	}
	_, reader, err := m.checkpoints.Open(metas[0].ID)
	if err != nil {
		return err
	}
	return m.Restore(reader)
}

package fsm

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"lockstep/memstore"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// restoredFile is a page file that a world's pages are mapped from.
type restoredFile struct {
	memory *snapshot.MemoryFile
	layer  *snapshot.PageFile
	first  pagetrie.Value
}

// proving is the work of verifying, beside rounds, the tree files and page files that a state was restored from. Until it has come
// to a page, memstore proves it when it is used.
type proving struct{ stop atomic.Bool }

// proveRestored starts it for the world that the machine has just entered.
func (m *Machine) proveRestored(w *world) {
	if !m.cfg.ProveRestored || w.checkpoint == nil {
		return
	}
	w.checkpoint.Hold()
	go func(w world) { // it ends when it has read the files, or soon after the world is closed
		defer w.checkpoint.Close()
		err := w.checkpoint.ProveTrees()
		for i := 0; err == nil && i < len(w.files) && !w.proving.stop.Load(); i++ {
			f := w.files[i]
			if err = f.memory.Prove(f.layer, Hashing(), w.proving.stop.Load); err == nil && !w.proving.stop.Load() {
				w.pages.Proven(f.first)
			}
		}
		if err != nil && !w.proving.stop.Load() {
			_ = m.stop(fmt.Errorf("verify restored state: %w", err))
		}
	}(*w)
}

// CheckCheckpoint verifies what restoring a checkpoint reads of it: table, modules and the roots of memories. What it does not
// read is verified when it is used.
func CheckCheckpoint(c *snapshot.Checkpoint) (err error) {
	defer pagetrie.CatchUnreadable(&err)
	if _, err := tableOf(c); err != nil {
		return err
	}
	for _, memory := range c.Memories {
		err := memory.Check(Hashing())
		if err == nil && strings.HasPrefix(memory.Name, codeName(0)[:len(codeName(0))-1]) {
			err = checkPages(memory)
		}
		if err != nil {
			return fmt.Errorf("memory %s: %w", memory.Name, err)
		}
	}
	return nil
}

// checkPages verifies the pages of a memory.
func checkPages(memory *snapshot.MemoryFile) error {
	buf := make([]byte, memstore.PageSize)
	var errs []error
	for _, ref := range memory.Pages() {
		if err := memory.ReadPage(ref, buf); err != nil {
			return err
		}
		if memstore.HashPage(buf) != memory.Hash(ref) {
			errs = append(errs, memory.DamagedPage(memory.Layers[ref.Layer], ref.Position))
			break
		}
	}
	return errors.Join(errs...)
}

package snapshot

import (
	"fmt"
	"os"
	"path/filepath"
)

// References is OS for stores of passing checkpoints that build on one elsewhere: on another file system, of another owner, or in a folder
// in which nothing may be written. Refer puts that one into the store without writing a byte of its files, Open follows the
// links that Refer makes, and what the store writes behind it holds only what changed. OpenDir refuses those links: such checkpoints are
// opened by OpenDirIn, and last no longer than the one that they refer to.
//
// It is for folders that nobody but this process writes into: in any other a link is damage.
type References struct{ OS }

var _ FS = References{}

// Open opens a file, or the file that a link leads to.
func (References) Open(path string) (File, error) { return openRegular(path, noWait) }

// Refer puts a checkpoint folder from elsewhere, whatever its name there, into the folder of a store that is opened later, by symbolic
// links to its files. A hard link of one, which is what a store makes of files that did not change, leads to the same file.
//
// Preconditions: the checkpoint was opened before, so that each of its files is one.
func (r References) Refer(from, store string) error {
	if err := r.refer(from, store); err != nil {
		return fmt.Errorf("refer to checkpoint %s: %w", from, err)
	}
	return nil
}

func (r References) refer(from, store string) error {
	whole, err := filepath.Abs(from)
	if err != nil {
		return err
	}
	m, err := readManifest(r, whole)
	if err != nil {
		return err
	}
	names, err := r.List(whole)
	if err != nil {
		return err
	}
	to := join(store, name{index: m.Index, term: m.Term}.String())
	if err := mkdirAll(r, to); err != nil {
		return err
	}
	for _, n := range names {
		if err := os.Symlink(join(whole, n), join(to, n)); err != nil {
			return err
		}
	}
	return nil
}

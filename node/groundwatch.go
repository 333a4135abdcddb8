package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// errGone is what a Ground's Check finds when its files are no longer where their names lead.
var errGone = errors.New("deleted or replaced while the node ran: what it writes there nobody can read again; " +
	"stop the node and start it again: with an empty folder it is sent the state")

// folderCheck remembers which files a data folder had, and finds out whether its names still lead to them.
type folderCheck struct {
	names []string
	files []os.FileInfo
}

func newFolderCheck(names ...string) (*folderCheck, error) {
	c := &folderCheck{names: names}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		c.files = append(c.files, info)
	}
	return c, nil
}

// check implements Parts.Check. What cannot be looked at for another reason than its absence is not held to be gone.
func (c *folderCheck) check() error {
	for i, name := range c.names {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, c.files[i]) {
			return &StorageError{Op: "look after " + name, Err: fmt.Errorf("it was %w", errGone)}
		}
	}
	return nil
}

// groundEvery is the pause between two looks at the ground.
const groundEvery = 500 * time.Millisecond

// groundWatcher ends a replica whose ground is gone from under it: files that were deleted take writes as before.
type groundWatcher struct {
	check func() error
	stop  func(error)
	quit  chan struct{}
	loop  sync.WaitGroup
}

// newGroundWatcher starts to watch, unless there is nothing to check.
func newGroundWatcher(check func() error, stop func(error)) *groundWatcher {
	w := &groundWatcher{check: check, stop: stop, quit: make(chan struct{})}
	if check != nil {
		w.loop.Go(w.run)
	}
	return w
}

func (w *groundWatcher) run() {
	tick := time.NewTicker(groundEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.look()
		case <-w.quit:
			return
		}
	}
}

// look ends the replica if its ground is gone.
func (w *groundWatcher) look() {
	if w.check == nil {
		return
	}
	if err := w.check(); err != nil {
		w.stop(err)
	}
}

func (w *groundWatcher) close() {
	close(w.quit)
	w.loop.Wait()
}

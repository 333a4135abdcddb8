package sim

import "sync"

// gate stands where a replica touches the world. While it is shut the replica stands still, as a stopped process does.
type gate struct {
	mu   sync.Mutex
	shut int
	free chan struct{} // closed when it opens; nil while it is open
}

// close shuts the gate; each close wants one reopen.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut++; g.shut == 1 {
		g.free = make(chan struct{})
	}
}

func (g *gate) reopen() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut--; g.shut == 0 {
		close(g.free)
		g.free = nil
	}
}

// open reports whether nobody would wait.
func (g *gate) open() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut == 0
}

// pass waits until the gate is open; false means that given came first.
func (g *gate) pass(given <-chan struct{}) bool {
	for {
		g.mu.Lock()
		free := g.free
		g.mu.Unlock()
		if free == nil {
			select {
			case <-given:
				return false
			default:
				return true
			}
		}
		select {
		case <-free:
		case <-given:
			return false
		}
	}
}

package real

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// network is the links between all replicas: a proxy for each that dials and each that is dialled.
type network struct {
	replicas int
	links    map[pair]*link
	proxies  map[pair]*proxy
	running  sync.WaitGroup
}

// pair is a direction: from one replica to another one.
type pair struct{ from, to int }

// newNetwork opens the proxies; targets are the replicas' Raft ports.
func newNetwork(targets []string, seed uint64) (*network, error) {
	n := &network{replicas: len(targets), links: map[pair]*link{}, proxies: map[pair]*proxy{}}
	n.each(func(p pair) { n.links[p] = newLink(seed ^ uint64(p.from)<<8 ^ uint64(p.to)) })
	var errs []error
	n.each(func(p pair) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			errs = append(errs, fmt.Errorf("proxy from replica %d to replica %d: %w", p.from, p.to, err))
			return
		}
		x := &proxy{network: n, target: targets[p.to-1], listener: l, forth: n.links[p], back: n.links[pair{p.to, p.from}], conns: map[*carrier]struct{}{}}
		n.proxies[p] = x
		n.running.Go(x.accept)
	})
	if err := errors.Join(errs...); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// each visits every direction.
func (n *network) each(visit func(pair)) {
	for from := 1; from <= n.replicas; from++ {
		for to := 1; to <= n.replicas; to++ {
			if from != to {
				visit(pair{from, to})
			}
		}
	}
}

// address is where a replica reaches another one.
func (n *network) address(p pair) string { return n.proxies[p].listener.Addr().String() }

// set lays a condition on links, and clear takes it off and adds up the effects.
func (n *network) set(fault int, pairs []pair, c condition) {
	for _, p := range pairs {
		n.links[p].set(fault, c)
	}
}

func (n *network) clear(fault int, pairs []pair) uint64 {
	struck := uint64(0)
	for _, p := range pairs {
		struck += n.links[p].clear(fault)
	}
	return struck
}

// close ends every connection and waits for all goroutines.
func (n *network) close() {
	for _, p := range n.proxies {
		p.close()
	}
	n.running.Wait()
}

// proxy carries the connections that one replica dials to another one.
type proxy struct {
	network     *network
	target      string
	listener    net.Listener
	forth, back *link

	mu     sync.Mutex
	closed bool
	conns  map[*carrier]struct{}
}

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.network.running.Go(func() { p.carry(conn) })
	}
}

// dialWithin bounds the way to a replica on this machine.
const dialWithin = 2 * time.Second

// carry carries one connection until it ends.
func (p *proxy) carry(near net.Conn) {
	far, err := net.DialTimeout("tcp", p.target, dialWithin)
	if err != nil {
		near.Close()
		return
	}
	c := &carrier{near: near, far: far, links: []*link{p.forth, p.back}}
	if !p.track(c) {
		c.cut()
		return
	}
	defer p.untrack(c)
	forth, ok := p.forth.join(c)
	back, ok2 := p.back.join(c)
	defer p.forth.leave(c)
	defer p.back.leave(c)
	if !ok || !ok2 {
		c.cut()
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		c.pump(p.forth, direction{from: near, to: far, sent: &c.sent, answered: &c.answered, epoch: forth})
	})
	both.Go(func() {
		c.pump(p.back, direction{from: far, to: near, sent: &c.answered, answered: &c.sent, epoch: back})
	})
	both.Wait()
	c.cut()
}

func (p *proxy) track(c *carrier) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *proxy) untrack(c *carrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.cut()
	}
	p.mu.Unlock()
	p.forth.wake()
	p.back.wake()
}

// carrier is one connection through a proxy.
type carrier struct {
	near, far net.Conn
	links     []*link
	ended     atomic.Bool
	// sent and answered are the bytes in each direction since the other one last carried something.
	sent, answered atomic.Int64
}

// cut ends the connection. It may be called with a link's lock held.
func (c *carrier) cut() {
	c.ended.Store(true)
	c.near.Close()
	c.far.Close()
}

func (c *carrier) over() bool { return c.ended.Load() }

// direction is one way of a connection.
type direction struct {
	from, to       net.Conn
	sent, answered *atomic.Int64
	epoch          uint64
}

// piece is what was read at once, on its way.
type piece struct {
	data []byte
	due  time.Time
}

// Bounds of what a direction holds: pieces, and bytes of each.
const (
	pieces     = 256
	pieceBytes = 4 << 10
)

// pump carries bytes in one direction. What is read is decided on at once; a second goroutine writes it when it is due, so
// that a delay does not make the link slower.
func (c *carrier) pump(l *link, d direction) {
	queue := make(chan piece, pieces)
	var writing sync.WaitGroup
	writing.Go(func() { c.write(d.to, queue) })
	lost := false
	for {
		buffer := make([]byte, pieceBytes)
		n, err := d.from.Read(buffer)
		if err != nil {
			break
		}
		d.answered.Store(0)
		burst := int(d.sent.Add(int64(n)))
		v, ok := l.judge(c, n, burst)
		if !ok {
			break
		}
		if lost = lost || v.lost; lost {
			if !v.lost { // a stream with a hole in it goes nowhere
				break
			}
			l.wait(c, d.epoch)
			break
		}
		if v.flip >= 0 {
			buffer[v.flip/8] ^= 1 << (v.flip % 8)
		}
		c.sleep(l.pace(n, burst))
		queue <- piece{buffer[:n], v.due}
	}
	close(queue)
	writing.Wait()
	c.cut()
	for _, l := range c.links {
		l.wake()
	}
}

// write writes pieces when they are due.
func (c *carrier) write(to io.Writer, queue <-chan piece) {
	for p := range queue {
		c.sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			c.cut()
			break
		}
	}
	for range queue { // what cannot be written any more
	}
}

// sleep sleeps for a time, or until the connection has ended.
func (c *carrier) sleep(d time.Duration) {
	const step = 20 * time.Millisecond
	for ; d > 0 && !c.over(); d -= step {
		time.Sleep(min(d, step))
	}
}

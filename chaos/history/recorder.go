package history

import (
	"bufio"
	"fmt"
	"io"
	"sync"
)

// Log is a history in memory.
type Log struct {
	Header Header
	Events []Event
	// Cut is set by a reader that found an unfinished last line and left it out: the recording program was killed.
	Cut bool
}

// RecorderConfig says where events go.
type RecorderConfig struct {
	Header Header
	// Out takes the history as JSON Lines, buffered until Flush; nil for none. Faults takes the lines of FaultBegin and
	// FaultEnd a second time.
	Out, Faults io.Writer
	// Keep holds the events in memory as well.
	Keep bool
	// Observe is told of every event, one after another, in the order of the history; it must not call the Recorder, nor keep the
	// pointer.
	Observe func(*Event)
	// MaxEvents ends the recording with an error; 0 means DefaultMaxEvents.
	MaxEvents int
}

// DefaultMaxEvents bounds a history: about 20 GB of text.
const DefaultMaxEvents = 100_000_000

// Recorder takes the events of a run. Its methods may be called by any goroutine.
type Recorder struct {
	cfg RecorderConfig

	mu          sync.Mutex
	out, faults *bufio.Writer
	line        []byte
	event       Event // the one being recorded
	log         Log
	events      int
	err         error
}

// NewRecorder begins a history.
func NewRecorder(c RecorderConfig) (*Recorder, error) {
	if c.MaxEvents == 0 {
		c.MaxEvents = DefaultMaxEvents
	}
	c.Header.Format = format
	if err := c.Header.validate(); err != nil {
		return nil, err
	}
	r := &Recorder{cfg: c, log: Log{Header: c.Header}}
	line, err := encodeHeader(c.Header)
	if err != nil {
		return nil, err
	}
	for _, o := range []struct {
		to  io.Writer
		buf **bufio.Writer
	}{{c.Out, &r.out}, {c.Faults, &r.faults}} {
		if o.to == nil {
			continue
		}
		*o.buf = bufio.NewWriterSize(o.to, 1<<16)
		if _, err := (*o.buf).Write(line); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Add records an event. A fault of the event or of the writers is kept and returned by Flush: a run does not stop for it.
func (r *Recorder) Add(e Event) {
	if len(e.Text) > MaxText {
		e.Text = e.Text[:MaxText]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return
	}
	r.event = e
	if r.err = r.add(&r.event); r.err == nil && r.cfg.Observe != nil {
		r.cfg.Observe(&r.event)
	}
}

func (r *Recorder) add(e *Event) error {
	if err := e.Validate(); err != nil {
		return err
	}
	if int(e.Node) > r.cfg.Header.Replicas || int(e.Peer) > r.cfg.Header.Replicas {
		return fmt.Errorf("event %s of node %d, peer %d: there are %d replicas", e.Kind, e.Node, e.Peer, r.cfg.Header.Replicas)
	}
	if r.events++; r.events > r.cfg.MaxEvents {
		return fmt.Errorf("more than %d events", r.cfg.MaxEvents)
	}
	if r.cfg.Keep {
		r.log.Events = append(r.log.Events, *e)
	}
	if r.out == nil && r.faults == nil {
		return nil
	}
	r.line = appendEvent(r.line[:0], e)
	if r.out != nil {
		if _, err := r.out.Write(r.line); err != nil {
			return err
		}
	}
	if r.faults != nil && (e.Kind == FaultBegin || e.Kind == FaultEnd) {
		if _, err := r.faults.Write(r.line); err != nil {
			return err
		}
	}
	return nil
}

// Flush writes what is buffered and returns the first error of the recording. A history whose Flush failed is not whole and
// must not be judged.
func (r *Recorder) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range []*bufio.Writer{r.out, r.faults} {
		if w == nil {
			continue
		}
		if err := w.Flush(); err != nil && r.err == nil {
			r.err = err
		}
	}
	if r.err != nil {
		return fmt.Errorf("record history: %w", r.err)
	}
	return nil
}

// Log is what was kept so far. It shares its events with the Recorder, which only adds to them.
func (r *Recorder) Log() *Log {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.log
	return &l
}

package snapshot

import (
	"crypto/rand"
	"errors"
)

// A ticket stands for a checkpoint that a Transfer of this process has assembled and verified. Raft carries it from
// InstallSnapshot to the Sink, which takes over the assembled folder, so that nothing is copied or hashed twice. The number is
// random and good for one Sink: no peer can name a ticket.
//
//	offset  size  field   meaning
//	0       8     magic   "LSTICKET"
//	8       8     number
const ticketMagic = "LSTICKET"

// Ticket gives what a Sink of this store takes in place of the received checkpoint's stream.
// Preconditions: Receive has succeeded.
func (t *Transfer) Ticket() []byte {
	if t.result == nil {
		panic("snapshot: Ticket of a transfer that has received nothing")
	}
	s := t.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.ticket == "" {
		var number [streamHeadBytes - len(ticketMagic)]byte
		_, _ = rand.Read(number[:]) // it does not fail
		t.ticket = ticketMagic + string(number[:])
		s.tickets[t.ticket] = t
	}
	return []byte(t.ticket)
}

// redeem makes the checkpoint behind a ticket the sink's own.
// Preconditions: k.mu is held.
func (k *Sink) redeem(ticket string) error {
	s := k.store
	s.mu.Lock()
	t := s.tickets[ticket]
	delete(s.tickets, ticket)
	s.mu.Unlock()
	if t == nil {
		return errors.New("this is the ticket of no checkpoint that was assembled here")
	}
	if err := k.expects(&t.result.Manifest); err != nil {
		return err
	}
	if err := removeAll(s.fs, k.temp); err != nil {
		return err
	}
	t.sink.mu.Lock()
	t.sink.done = true // the folder is no longer its own
	t.sink.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	t.taken, k.temp = k, t.sink.temp
	k.written, k.merged, k.receiver = true, true, nil
	return nil
}

// redeemed takes the ticket back and reports whether the checkpoint is published.
func (t *Transfer) redeemed() bool {
	t.store.mu.Lock()
	delete(t.store.tickets, t.ticket)
	k := t.taken
	t.store.mu.Unlock()
	if k == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.done && k.result == nil
}

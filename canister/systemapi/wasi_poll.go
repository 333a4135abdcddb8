package systemapi

import (
	"encoding/binary"
	"math"
)

// Layout of subscriptions and events, and the kinds of both.
const (
	wasiSubscription = 48
	wasiEvent        = 32
	wasiOnClock      = 0
	wasiOnWrite      = 2
)

// wasiPoll reports the subscriptions that are ready. If none is, it sets the
// clock forward to the first time that one asks for; if none asks for a time,
// the caller would wait for ever, and is stopped.
func wasiPoll(h *Host, a []uint64) (uint64, error) {
	in, err := h.slice(a[0], wasiSubscription*a[2])
	if err != nil {
		return wasiFault, nil
	}
	out, err := h.slice(a[1], wasiEvent*a[2])
	if err != nil {
		return wasiFault, nil
	}
	if a[2] == 0 {
		return wasiInvalid, nil
	}
	if err := h.charge(16 * wasiSubscription * a[2]); err != nil {
		return 0, err
	}
	now, next := h.now(), int64(math.MaxInt64)
	for subs := in; len(subs) > 0; subs = subs[wasiSubscription:] {
		next = min(next, wasiDue(subs, now))
	}
	if next == math.MaxInt64 {
		return 0, trapf("poll_oneoff: waiting for something that cannot happen")
	}
	if next > now {
		if err := h.machine.SetClock(next); err != nil {
			return 0, err
		}
	}
	events := uint32(0)
	for subs := in; len(subs) > 0; subs = subs[wasiSubscription:] {
		if wasiDue(subs, now) <= next {
			writeEvent(out[wasiEvent*events:][:wasiEvent], subs)
			events++
		}
	}
	return h.put(a[3], events), nil
}

// wasiDue is the time at which a subscription is ready, now or later.
func wasiDue(sub []byte, now int64) int64 {
	if sub[8] != wasiOnClock {
		return now // a descriptor: ready, or an error that is
	}
	const absolute = 1
	timeout := int64(min(binary.LittleEndian.Uint64(sub[24:]), math.MaxInt64))
	if sub[40]&absolute != 0 {
		return max(now, timeout)
	}
	if now > math.MaxInt64-timeout {
		return math.MaxInt64
	}
	return now + timeout
}

func writeEvent(event, sub []byte) {
	code := uint16(wasiOK)
	if kind := sub[8]; kind != wasiOnClock {
		if fd := binary.LittleEndian.Uint32(sub[16:]); kind != wasiOnWrite || fd != 1 && fd != 2 {
			code = wasiBadFile
		}
	}
	userdata, kind := binary.LittleEndian.Uint64(sub), sub[8]
	clear(event)
	binary.LittleEndian.PutUint64(event, userdata)
	binary.LittleEndian.PutUint16(event[8:], code)
	event[10] = kind
}

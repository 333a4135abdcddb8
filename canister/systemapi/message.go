package systemapi

import "math/bits"

import "bytes"

func (h *Host) argument() []byte   { return h.x.Arg }
func (h *Host) caller() []byte     { return h.x.Env.Caller }
func (h *Host) nothing() []byte    { return nil }
func (h *Host) rejectText() []byte { return []byte(h.x.RejectText) }
func (h *Host) methodName() []byte { return []byte(h.x.Method) }

func (h *Host) self() []byte {
	if len(h.x.Env.Self) > 0 {
		return h.x.Env.Self
	}
	return Principal(h.x.Env.Canister)
}

func (h *Host) answered() bool { return h.x.Answered || h.effects.Answer != NoAnswer }

// fits is a trap if a piece would make data longer than the limit.
func (h *Host) fits(what string, have int, piece uint64) error {
	sum, carry := bits.Add64(uint64(have), piece, 0)
	switch {
	case carry != 0:
		return trapf("%s of %d bytes and %d more, the limit is %d", what, have, piece, h.limits.ReplyBytes)
	case sum > h.limits.ReplyBytes:
		return trapf("%s of %d bytes, the limit is %d", what, sum, h.limits.ReplyBytes)
	}
	return nil
}

func (h *Host) msgReplyDataAppend(a []uint64) (uint64, error) {
	if h.answered() {
		return 0, trapf("ic0.msg_reply_data_append: the message has been answered")
	}
	if err := h.fits("ic0.msg_reply_data_append: a reply", len(h.effects.Reply), a[1]); err != nil {
		return 0, err
	}
	mem, err := h.bytes(a[0], a[1])
	if err != nil {
		return 0, err
	}
	h.effects.Reply = append(h.effects.Reply, mem...)
	return 0, nil
}

func (h *Host) msgReply([]uint64) (uint64, error) {
	if h.answered() {
		return 0, trapf("ic0.msg_reply: the message has been answered")
	}
	h.effects.Answer = Reply
	return 0, nil
}

func (h *Host) msgReject(a []uint64) (uint64, error) {
	if h.answered() {
		return 0, trapf("ic0.msg_reject: the message has been answered")
	}
	if a[1] > h.limits.ReplyBytes {
		return 0, trapf("ic0.msg_reject: a message of %d bytes, the limit is %d", a[1], h.limits.ReplyBytes)
	}
	text, err := h.utf8(a[0], a[1], "ic0.msg_reject: the message")
	if err != nil {
		return 0, err
	}
	h.effects.Answer, h.effects.Reject, h.effects.Reply = Reject, text, nil
	return 0, nil
}

func (h *Host) msgRejectCode([]uint64) (uint64, error) { return uint64(h.x.RejectCode), nil }

func (h *Host) msgDeadline([]uint64) (uint64, error) { return uint64(h.x.Deadline), nil }

func (h *Host) acceptMessage([]uint64) (uint64, error) {
	if h.effects.Accepted {
		return 0, trapf("ic0.accept_message: the message has been accepted")
	}
	h.effects.Accepted = true
	return 0, nil
}

func (h *Host) canisterStatus([]uint64) (uint64, error) {
	const running = 1
	return uint64(max(h.x.Env.Status, running)), nil
}

func (h *Host) canisterVersion([]uint64) (uint64, error) { return h.x.Env.Version, nil }

func (h *Host) isController(a []uint64) (uint64, error) {
	who, err := h.principal(a[0], a[1], "ic0.is_controller")
	if err != nil {
		return 0, err
	}
	for _, c := range h.x.Env.Controllers {
		if bytes.Equal(c, who) {
			return 1, nil
		}
	}
	return 0, nil
}

func (h *Host) principal(ptr, size uint64, caller string) ([]byte, error) {
	if size > MaxPrincipal {
		return nil, trapf("%s: a principal of %d bytes, there are none over %d", caller, size, MaxPrincipal)
	}
	return h.slice(ptr, size)
}

func (h *Host) inReplicatedExecution([]uint64) (uint64, error) {
	if h.x.Occasion&isReplicated == 0 {
		return 0, nil
	}
	return 1, nil
}

func (h *Host) time([]uint64) (uint64, error) { return uint64(h.x.Env.Time), nil }

// globalTimerSet gives the time that was set before.
func (h *Host) globalTimerSet(a []uint64) (uint64, error) {
	before := h.x.Env.Timer
	if h.effects.Timer != nil {
		before = *h.effects.Timer
	}
	due := a[0] // the slice belongs to the call path
	h.effects.Timer = &due
	return before, nil
}

// performanceCounter gives the fuel spent, by this execution (0) or by all of
// the call that it belongs to (1).
func (h *Host) performanceCounter(a []uint64) (uint64, error) {
	if a[0] > 1 {
		return 0, trapf("ic0.performance_counter: there is no counter %d", a[0])
	}
	left, err := h.machine.Fuel()
	spent := h.x.Fuel - left
	if a[0] == 1 {
		spent += h.x.Spent
	}
	return spent, err
}

func (h *Host) debugPrint(a []uint64) (uint64, error) {
	if err := h.charge(min(a[1], maxLogText)); err != nil {
		return 0, err
	}
	h.print(h.text(a[0], a[1], maxLogText))
	return 0, nil
}

func (h *Host) trap(a []uint64) (uint64, error) {
	return 0, Trap("canister trapped: " + h.text(a[0], a[1], MaxTrapText))
}

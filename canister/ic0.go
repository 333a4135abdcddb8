package canister

import (
	"encoding/binary"
	"unicode/utf8"
)

// ic0Funcs is the System API of the Internet Computer for 32-bit canisters.
// Parameters and rules are those of its interface specification; pointers and
// sizes are i32 and unsigned.
var ic0Funcs = []hostFunc{
	{"ic0", "msg_arg_data_size", signature(":i"), inInit | inMethod, (*host).msgArgDataSize},
	{"ic0", "msg_arg_data_copy", signature("iii"), inInit | inMethod, (*host).msgArgDataCopy},
	{"ic0", "msg_caller_size", signature(":i"), notInStart, (*host).msgCallerSize},
	{"ic0", "msg_caller_copy", signature("iii"), notInStart, (*host).msgCallerCopy},
	{"ic0", "msg_reply_data_append", signature("ii"), inMethod, (*host).msgReplyDataAppend},
	{"ic0", "msg_reply", signature(""), inMethod, (*host).msgReply},
	{"ic0", "msg_reject", signature("ii"), inMethod, (*host).msgReject},
	{"ic0", "canister_self_size", signature(":i"), notInStart, (*host).canisterSelfSize},
	{"ic0", "canister_self_copy", signature("iii"), notInStart, (*host).canisterSelfCopy},
	{"ic0", "canister_status", signature(":i"), notInStart, (*host).canisterStatus},
	{"ic0", "in_replicated_execution", signature(":i"), always, (*host).inReplicatedExecution},
	{"ic0", "time", signature(":I"), notInStart, (*host).time},
	{"ic0", "performance_counter", signature("i:I"), always, (*host).performanceCounter},
	{"ic0", "debug_print", signature("ii"), always, (*host).debugPrint},
	{"ic0", "trap", signature("ii"), always, (*host).trap},
}

func (h *host) msgArgDataSize([]uint64) (uint64, error) { return uint64(len(h.arg)), nil }

func (h *host) msgArgDataCopy(a []uint64) (uint64, error) {
	return 0, h.copyOut(h.arg, a[0], a[1], a[2])
}

func (h *host) msgCallerSize([]uint64) (uint64, error) { return uint64(len(h.env.Caller)), nil }

func (h *host) msgCallerCopy(a []uint64) (uint64, error) {
	return 0, h.copyOut(h.env.Caller, a[0], a[1], a[2])
}

func (h *host) msgReplyDataAppend(a []uint64) (uint64, error) {
	if h.answer != 0 {
		return 0, trapf("ic0.msg_reply_data_append: the message has been answered")
	}
	if size := uint64(len(h.reply)) + a[1]; size > h.limits.ReplyBytes {
		return 0, trapf("ic0.msg_reply_data_append: a reply of %d bytes, the limit is %d", size, h.limits.ReplyBytes)
	}
	mem, err := h.slice(a[0], a[1])
	if err != nil {
		return 0, err
	}
	if err := h.charge(a[1]); err != nil {
		return 0, err
	}
	h.reply = append(h.reply, mem...)
	return 0, nil
}

func (h *host) msgReply([]uint64) (uint64, error) {
	if h.answer != 0 {
		return 0, trapf("ic0.msg_reply: the message has been answered")
	}
	h.answer = Replied
	return 0, nil
}

func (h *host) msgReject(a []uint64) (uint64, error) {
	if h.answer != 0 {
		return 0, trapf("ic0.msg_reject: the message has been answered")
	}
	if a[1] > h.limits.ReplyBytes {
		return 0, trapf("ic0.msg_reject: a message of %d bytes, the limit is %d", a[1], h.limits.ReplyBytes)
	}
	mem, err := h.slice(a[0], a[1])
	if err != nil {
		return 0, err
	}
	if err := h.charge(a[1]); err != nil {
		return 0, err
	}
	if !utf8.Valid(mem) {
		return 0, trapf("ic0.msg_reject: the message is not UTF-8")
	}
	h.answer, h.reject, h.reply = Rejected, string(mem), nil
	return 0, nil
}

// selfBytes is this canister's principal: its number and the suffix that marks
// a canister on the Internet Computer.
func (h *host) selfBytes() []byte {
	return append(binary.BigEndian.AppendUint64(nil, h.env.Canister), 1, 1)
}

func (h *host) canisterSelfSize([]uint64) (uint64, error) { return uint64(len(h.selfBytes())), nil }

func (h *host) canisterSelfCopy(a []uint64) (uint64, error) {
	return 0, h.copyOut(h.selfBytes(), a[0], a[1], a[2])
}

func (h *host) canisterStatus([]uint64) (uint64, error) {
	const running = 1
	return running, nil
}

func (h *host) inReplicatedExecution([]uint64) (uint64, error) {
	if h.occasion == inQuery {
		return 0, nil
	}
	return 1, nil
}

func (h *host) time([]uint64) (uint64, error) { return uint64(h.env.Time), nil }

// performanceCounter gives the fuel spent, by this execution (0) or by the
// whole call (1), which are the same while a message is one execution.
func (h *host) performanceCounter(a []uint64) (uint64, error) {
	if a[0] > 1 {
		return 0, trapf("ic0.performance_counter: there is no counter %d", a[0])
	}
	left, err := h.machine.fuel()
	return h.fuelAt - left, err
}

func (h *host) debugPrint(a []uint64) (uint64, error) {
	if err := h.charge(min(a[1], maxLogText)); err != nil {
		return 0, err
	}
	h.print(h.text(a[0], a[1], maxLogText))
	return 0, nil
}

func (h *host) trap(a []uint64) (uint64, error) {
	return 0, canisterTrap("canister trapped: " + h.text(a[0], a[1], maxTrapText))
}

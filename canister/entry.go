package canister

import (
	"encoding/binary"
	"hash/fnv"

	"lockstep/canister/program"
	"lockstep/canister/systemapi"
)

// Entry is a way into a canister. Installing and upgrading have functions of
// their own.
type Entry uint8

// The entries.
const (
	EntryUpdate    Entry = iota // Input.Method, an update or a query method
	EntryReply                  // callback of a call that was replied to
	EntryReject                 // callback of a call that was rejected
	EntryCleanup                // callback of a call whose other callback trapped
	EntryHeartbeat              // canister_heartbeat
	EntryTimer                  // canister_global_timer
	EntryInspect                // canister_inspect_message; changes nothing
)

var entryOccasions = [...]systemapi.Occasion{
	EntryUpdate: systemapi.InUpdate, EntryReply: systemapi.InReply, EntryReject: systemapi.InReject,
	EntryCleanup: systemapi.InCleanup, EntryHeartbeat: systemapi.InTask, EntryTimer: systemapi.InTask,
	EntryInspect: systemapi.InInspect,
}

var entryExports = map[Entry]string{
	EntryHeartbeat: program.HeartbeatExport, EntryTimer: program.TimerExport, EntryInspect: program.InspectExport,
}

// Callback is a function of a canister that awaits an answer.
type Callback = systemapi.Callback

// Call is a call of a method that an execution asked for.
type Call = systemapi.Call

// Input is what an entry is entered with. Byte slices are read only while the
// execution runs.
type Input struct {
	Entry  Entry
	Method string // of EntryUpdate, or that EntryInspect is asked about
	Arg    []byte // argument; for EntryReply what the callee replied

	RejectCode uint32 // of EntryReject; EntryCleanup sees that of the answer, 0 for a reply
	RejectText string

	Callback Callback // of EntryReply, EntryReject and EntryCleanup
	// Answered says that an earlier execution for the same call has answered
	// it: msg_reply and msg_reject trap.
	Answered bool
	// Spent is the fuel of the earlier executions for the same call; it only
	// reaches performance counter 1.
	Spent uint64
	// Deadline is when the caller stops waiting, in nanoseconds since 1970; 0
	// for never.
	Deadline int64
}

// Has tells whether a module can be entered so: whether it exports the entry
// point, has a table for callbacks, or methods.
func (m *Module) Has(e Entry) bool {
	p := m.Program
	switch e {
	case EntryUpdate:
		return len(p.Updates)+len(p.Queries) > 0
	case EntryReply, EntryReject, EntryCleanup:
		return p.HasTable
	}
	return p.Has(entryExports[e])
}

// target is what an execution calls.
type target struct {
	export string
	args   []uint64
}

// lookup finds what an input enters; keep says whether its changes stay.
// Otherwise it gives the outcome.
func (in *Input) lookup(p *program.Program) (t target, o systemapi.Occasion, keep bool, out Outcome) {
	o = entryOccasions[in.Entry]
	switch in.Entry {
	case EntryUpdate:
		kind, export := p.Method(in.Method)
		switch kind {
		case program.Update:
			return target{export: export}, o, true, Outcome{}
		case program.Query:
			return target{export: export}, systemapi.InReplicatedQuery, false, Outcome{}
		}
		return t, o, false, methodNotFound("update or query", in.Method)
	case EntryReply, EntryReject, EntryCleanup:
		if !p.HasTable {
			return t, o, false, failed(Trapped, textNoTable, 0)
		}
		return target{program.CallbackExport, []uint64{in.Callback.Func, in.Callback.Env}}, o, true, Outcome{}
	}
	export := entryExports[in.Entry]
	switch {
	case p.Has(export):
		return target{export: export}, o, in.Entry != EntryInspect, Outcome{}
	case in.Entry == EntryInspect: // nothing speaks against the message
		return t, o, false, Outcome{Status: NoReply, Accepted: true}
	}
	return t, o, false, failed(MethodNotFound, "the canister has no "+export, 0)
}

func (in *Input) execution(env Env, o systemapi.Occasion, fuel uint64) systemapi.Execution {
	return systemapi.Execution{Env: env, Occasion: o, Arg: in.Arg, Method: in.Method, RejectCode: in.RejectCode,
		RejectText: in.RejectText, Answered: in.Answered, Deadline: in.Deadline, Spent: in.Spent, Fuel: fuel}
}

// Principal is the principal of a canister: 10 bytes.
func Principal(id uint64) []byte { return systemapi.Principal(id) }

// CanisterOf is the canister whose principal this is, false if it is none.
func CanisterOf(principal []byte) (id uint64, ok bool) { return systemapi.CanisterOf(principal) }

// PrincipalText is a principal's text form: base32 with a checksum, in groups.
func PrincipalText(principal []byte) string { return systemapi.PrincipalText(principal) }

// ParsePrincipal reads the text form of a principal.
func ParsePrincipal(text string) ([]byte, error) { return systemapi.ParsePrincipal(text) }

// kind tells executions apart that are likely to write about different pages:
// by entry and method, and by function for callbacks.
func (in Input) kind() uint64 {
	h := fnv.New64a()
	h.Write([]byte{byte(in.Entry)})
	h.Write([]byte(in.Method))
	h.Write(binary.LittleEndian.AppendUint64(nil, in.Callback.Func))
	return h.Sum64()
}

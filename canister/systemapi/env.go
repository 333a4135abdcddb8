package systemapi

// Env is the world as an execution sees it: everything in it comes from the
// round, the replicated state and the replicated configuration, except Log.
// Byte slices are read only while the execution runs.
type Env struct {
	Canister uint64 // id of this canister
	Round    uint64
	Message  uint64 // number of the execution within the round
	Time     int64  // of the round, in nanoseconds since 1970
	Caller   []byte // principal of the caller; in callbacks that of the call that is being answered
	Self     []byte // principal of this canister; empty for the one that belongs to its id

	Controllers [][]byte // principals
	Version     uint64   // of the canister: rises with every change
	Status      uint32   // 1 running, 2 stopping, 3 stopped; 0 is taken for 1
	Timer       uint64   // when the global timer is due, 0 if it is not set
	CallsLeft   uint64   // that the execution may make: call_perform answers that it cannot for more

	// Seed adds to the source of randomness; with Canister, Round and Message
	// it determines every random number of the execution.
	Seed [32]byte
	// Log receives what the canister prints, a line or a piece of one at a
	// time. It is not replicated and may be nil. It must be quick and may be
	// called from several goroutines when queries run.
	Log func(text string)
}

// Callback is a function of a canister that awaits an answer: its index in the
// canister's first table, and the number it is to be called with. 32-bit values
// are zero-extended.
type Callback struct{ Func, Env uint64 }

// Call is a call of a method that an execution asked for.
type Call struct {
	Callee            []byte // principal
	Method            string // UTF-8
	Arg               []byte
	OnReply, OnReject Callback
	OnCleanup         *Callback // nil for none
	// TimeoutSeconds is after how long the caller wants an answer at the
	// latest, be it an error; 0 if it waits for ever.
	TimeoutSeconds uint32
}

// Execution is one entry into a canister.
type Execution struct {
	Env      Env
	Occasion Occasion
	Arg      []byte // argument, or what the callee replied
	Method   string // that InInspect is asked about

	RejectCode uint32 // of the answer that a callback is called with
	RejectText string

	Answered bool   // the call was answered by an earlier execution
	Deadline int64  // of the caller, in nanoseconds since 1970, 0 for none
	Spent    uint64 // fuel of earlier executions for the same call
	Step     uint32 // numbers the executions of one installation or upgrade
	Fuel     uint64 // to run on
}

// Answer is what an execution said to its caller.
type Answer uint8

// The answers.
const (
	NoAnswer Answer = iota
	Reply
	Reject
)

// Effects are what an execution asked for, beside what it did to memory.
type Effects struct {
	Answer        Answer
	Reply         []byte // if Reply; the caller's own
	Reject        string // if Reject
	Calls         []Call
	Timer         *uint64 // when the global timer is to be due, 0 for never; nil if not set
	Accepted      bool    // accept_message was called
	CertifiedData []byte  // as it is now
}

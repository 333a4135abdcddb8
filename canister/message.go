package canister

// Env is the world as a message sees it: everything in it comes from the round
// and the replicated configuration, except Log.
type Env struct {
	Canister uint64 // id of this canister
	Round    uint64
	Message  uint64 // number of the message within the round
	Time     int64  // of the round, in nanoseconds since 1970
	Caller   []byte // principal of the caller; read only while the message runs
	// Seed adds to the source of randomness; with Canister, Round and Message
	// it determines every random number of the message.
	Seed [32]byte
	// Log receives what the canister prints, a line or a piece of one at a
	// time. It is not replicated and may be nil. It must be quick and may be
	// called from several goroutines when queries run.
	Log func(text string)
}

// Message is one call of a method.
type Message struct {
	Method string
	Arg    []byte // read only while the message runs
}

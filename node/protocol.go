package node

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"
	"unicode"
	"unicode/utf8"

	"lockstep/fsm"
)

// The client protocol: paths, headers and JSON shapes. The server and the client of this package, and every curl line in the
// documentation, speak it.
const (
	headerSession   = "Lockstep-Session"
	headerSequence  = "Lockstep-Sequence"
	headerCaller    = "Lockstep-Caller"
	headerArg       = "Lockstep-Arg"
	headerForwarded = "Lockstep-Forwarded"

	consistencyStale        = "stale"
	consistencyLinearizable = "linearizable"
)

// Response is the body of a call that has a result, whatever the result is.
type Response struct {
	Status fsm.Status `json:"status"`
	// Reply is the canister's answer; ReplyText the same where it is printable text.
	Reply      []byte `json:"reply"`
	ReplyText  string `json:"reply_text"`
	RejectCode uint32 `json:"reject_code"`
	// Text is the message of a reject or a trap, or the reason of a refusal by the state machine.
	Text string `json:"text"`
	Fuel uint64 `json:"fuel"`
	// Round is the round in which the message was answered (of a repeated message: the first time), or whose state a query read.
	Round uint64 `json:"round"`
	// Index is the log index of the round that answered, Root the state root after it and Time its time in nanoseconds since
	// 1970.
	Index uint64 `json:"index"`
	Root  string `json:"root"`
	Time  int64  `json:"time"`
	// Node is the node that answered.
	Node string `json:"node"`
	// Session is the number of a new session; 0 otherwise.
	Session uint64 `json:"session,omitempty"`
}

func newResponse(node string, a Answer) *Response {
	r := &Response{Status: a.Status, Reply: a.Reply, RejectCode: a.RejectCode, Text: a.Text, Fuel: a.Fuel,
		Round: uint64(a.Round), Index: a.Index, Root: hex.EncodeToString(a.Root[:]), Time: a.Time, Node: node}
	if r.Reply == nil {
		r.Reply = []byte{}
	}
	if printable(a.Reply) {
		r.ReplyText = string(a.Reply)
	}
	return r
}

func printable(text []byte) bool {
	if !utf8.Valid(text) {
		return false
	}
	for _, r := range string(text) {
		if !unicode.IsPrint(r) && r != '\n' && r != '\t' {
			return false
		}
	}
	return true
}

// failure is the body of a call without a result.
type failure struct {
	Error   string  `json:"error"`
	Outcome Outcome `json:"outcome"`
	// Leader and LeaderHTTP are where to try again, if known.
	Leader     string `json:"leader,omitempty"`
	LeaderHTTP string `json:"leader_http,omitempty"`
}

// interfaceAnswer is the body of /v1/canisters/NAME/interface.
type interfaceAnswer struct {
	Candid string `json:"candid"`
}

// RootReport is one line of /v1/roots.
type RootReport struct {
	Round uint64 `json:"round"`
	Root  string `json:"root"`
}

func rootReports(roots []fsm.Attestation) []RootReport {
	out := make([]RootReport, len(roots))
	for i, a := range roots {
		out[i] = RootReport{Round: uint64(a.Round), Root: hex.EncodeToString(a.Root[:])}
	}
	return out
}

// RootsReport is the body of /v1/roots: roots of consecutive rounds, ascending.
type RootsReport struct {
	Node  string       `json:"node"`
	State State        `json:"state"`
	Roots []RootReport `json:"roots"`
}

// StatusReport is the body of /v1/status.
type StatusReport struct {
	Node    string `json:"node"`
	Cluster string `json:"cluster"`
	State   State  `json:"state"`
	// Reason says why the node is not running.
	Reason string `json:"reason,omitempty"`
	// Divergence is set in the state diverged.
	Divergence *DivergenceReport `json:"divergence,omitempty"`
	Role       string            `json:"role"`
	Term       uint64            `json:"term"`
	// Joining: the data folder is new, and this node does not vote until a leader has brought it up to date.
	Joining bool `json:"joining"`
	// JoiningFile is the marker of that; it is set while Joining is.
	JoiningFile string `json:"joining_file,omitempty"`
	// Leader is the leader's node ID, LeaderHTTP its client port; empty when unknown.
	Leader     string      `json:"leader"`
	LeaderHTTP string      `json:"leader_http"`
	Raft       RaftIndexes `json:"raft"`
	// Round, Root, Index and Time are of the state machine's newest round.
	Round       uint64           `json:"round"`
	Root        string           `json:"root"`
	Index       uint64           `json:"index"`
	Time        int64            `json:"time"`
	Sessions    uint64           `json:"sessions"`
	Canisters   []CanisterReport `json:"canisters"`
	Checkpoints CheckpointStatus `json:"checkpoints"`
	// CheckpointsTaken counts the checkpoints that this process has taken, Installed those that it was sent by a leader.
	CheckpointsTaken uint64 `json:"checkpoints_taken"`
	Installed        uint64 `json:"installed"`
	// Transfers are the newest checkpoints that went to or from this node, or are on their way, the newest last.
	Transfers []TransferReport `json:"transfers,omitempty"`
	// SetAside says where a log is kept that this process could not use, and why; empty when there was none.
	SetAside string       `json:"set_aside,omitempty"`
	Peers    []PeerReport `json:"peers"`
	// Started is when the process started the node; Restarts counts the replica's restarts inside it.
	// PID is the process.
	PID      int       `json:"pid"`
	Started  time.Time `json:"started"`
	Uptime   float64   `json:"uptime_seconds"`
	Restarts int       `json:"restarts"`
	Tracker  string    `json:"tracker"`
	OptLevel string    `json:"opt_level"`
	DataDir  string    `json:"data_dir"`
}

// RaftIndexes are Raft's own positions in the log. Applied is what Raft has handed to the state machine, which may not have
// finished it.
type RaftIndexes struct {
	Last    uint64 `json:"last"`
	Commit  uint64 `json:"commit"`
	Applied uint64 `json:"applied"`
}

// DivergenceReport is a *fsm.DivergedError in JSON.
type DivergenceReport struct {
	Round    uint64 `json:"round"`
	FoundAt  uint64 `json:"found_at"`
	Own      string `json:"own"`
	Attested string `json:"attested"`
}

// CanisterReport is one canister in a StatusReport.
type CanisterReport struct {
	ID          uint64 `json:"id"`
	Name        string `json:"name"`
	Module      string `json:"module"`
	MemoryBytes uint64 `json:"memory_bytes"`
	PagesUsed   int    `json:"pages_used"`
	// Life is running, stopping or stopped.
	Life    string `json:"life"`
	Version uint64 `json:"version"`
	// Queued counts the calls and responses that wait for the canister, Outstanding its own calls without a response.
	Queued      int `json:"queued"`
	Outstanding int `json:"outstanding"`
}

// PeerReport is one peer in a StatusReport.
type PeerReport struct {
	ID   string `json:"id"`
	Raft string `json:"raft"`
	HTTP string `json:"http"`
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // a client that has left is told nothing
}

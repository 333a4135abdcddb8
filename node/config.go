package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/fsm"
	"lockstep/memstore"
	"lockstep/node/link"
)

// Peer is one replica of the cluster as all replicas know it.
type Peer struct {
	// ID names the replica: 1 to link.MaxIDBytes of a-z, A-Z, 0-9, '-', '_' and '.'. It is also its Raft server address.
	ID string
	// Raft is the host:port where its Raft port is reached.
	Raft string
	// HTTP is the host:port where its client port is reached.
	HTTP string
}

// Config is what a node is made of. The zero value of an optional field means the default that its comment names.
// Nothing in it may influence the replicated state.
type Config struct {
	// ID is this node's name; it must be one of Peers. Required.
	ID string
	// ClusterID names the cluster. A node refuses folders and connections of another one. Required; named as Peer.ID is.
	ClusterID string
	// DataDir is the folder with everything that persists. It is created when missing. Required.
	DataDir string

	// RaftAddr and HTTPAddr are the host:port to listen on; "" takes them from Peers. An HTTPAddr without a host listens
	// on loopback only.
	RaftAddr string
	HTTPAddr string
	// Peers are all voting replicas of the cluster, this one among them, the same on every node. 1 to 9. Required.
	Peers []Peer

	// Tracker finds the pages that messages change; "" is memstore.TrackerPrefetch, and TrackerAuto becomes the one that it chose.
	Tracker memstore.Tracker
	// OptLevel is how hard the Wasm compiler tries; "" is canister.OptSpeed.
	OptLevel canister.OptLevel
	// Workers bounds the canisters of a round that run beside each other; 0 means one a processor. 0 to 1024.
	Workers int

	// CheckpointEvery is the number of applied rounds after which a checkpoint is taken; 0 means 1024.
	CheckpointEvery uint64
	// CheckpointsKept is the number of checkpoints kept; 0 means 2, for which package snapshot says what they take on disk. 2 to 64.
	// The log is kept back to the oldest, so that a damaged newer one loses nothing.
	CheckpointsKept int
	// TrailingLogs is the number of log entries kept before the end of the log when it is cut after a checkpoint; 0 means
	// 10240. A follower that lags by less is brought up to date from the log instead of by a whole checkpoint. 1 to 1<<32.
	TrailingLogs uint64

	// RoundMessages bounds the messages of one round; 0 means 4096. 1 to fsm.MaxRoundMessages.
	RoundMessages int
	// RoundBytes bounds the bytes of one round's messages; 0 means 1 MiB. 1 to fsm.MaxRoundBytes. One larger message
	// makes a round of its own.
	RoundBytes int
	// CheckpointBytes bounds a checkpoint that a leader may send, and so what a transfer takes: up to three times as much disk,
	// and a hundredth of it as memory; 0 means 64 GiB. 1 MiB to 1 TiB.
	CheckpointBytes int64
	// RoundsInFlight bounds the rounds that the leader has proposed and that are not applied; 0 means 4. 1 to 64.
	RoundsInFlight int
	// AppendEntries bounds the log entries of one message to a follower, and with it the batch that the state machine is given
	// at a time; 0 means 32. 1 to 1024.
	AppendEntries int
	// QueueMessages bounds the messages that wait for a round; 0 means 16384. 1 to 1<<20. More are refused.
	QueueMessages int
	// QueueBytes bounds their bytes; 0 means 128 MiB. At least fsm.MaxRoundBytes.
	QueueBytes int

	// ElectionTimeout is how long a follower waits for its leader before it stands for election; 0 means 1 s. 20 ms to
	// 1 min. A leader that hears no majority for as long steps down.
	ElectionTimeout time.Duration
	// RequestTimeout bounds how long a client's request waits for its outcome; 0 means 30 s. 1 ms to 1 h.
	RequestTimeout time.Duration
	// PeerTimeout bounds one exchange between replicas: to dial, shake hands, and carry one request; 0 means 10 s. 10 ms
	// to 1 h. Carrying a checkpoint may take this long for each 256 KiB.
	PeerTimeout time.Duration

	// Logger receives what the node tells its operator; nil drops it.
	Logger *slog.Logger
	// Wrap puts layers around the node's stores and its state machine; the zero value puts none.
	Wrap Wrap
}

// Wrap are layers around the interfaces between Raft and the disk, and the state machine: faults and checks are put in here. Each
// function may be nil. The node's own guards lie above these layers, so that what a layer does looks to the node like the disk's
// or the machine's doing.
type Wrap struct {
	// Logs is put around the log on disk.
	Logs func(raft.LogStore) raft.LogStore
	// Stable is put around the term and the vote on disk.
	Stable func(raft.StableStore) raft.StableStore
	// Machine is put around the state machine whenever it is opened.
	Machine func(Machine) Machine
}

// Limits that the configuration cannot change.
const (
	maxPeers           = 9
	defaultEvery       = 1024
	defaultKept        = 2
	defaultTrailing    = 10240
	logCacheEntries    = 1024
	defaultAppend      = 32
	raftConnections    = 3
	commitTimeoutShare = 20
)

// WithDefaults gives the configuration with every optional field set.
func (c Config) WithDefaults() Config {
	orInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	orTime := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	switch c.Tracker {
	case "":
		c.Tracker = memstore.TrackerPrefetch
	case memstore.TrackerAuto:
		c.Tracker = memstore.Probe().Tracker
	}
	if c.OptLevel == "" {
		c.OptLevel = canister.OptSpeed
	}
	orInt(&c.CheckpointsKept, defaultKept)
	orInt(&c.RoundMessages, 4096)
	orInt(&c.RoundBytes, 1<<20)
	orInt(&c.RoundsInFlight, 4)
	orInt(&c.AppendEntries, defaultAppend)
	orInt(&c.QueueMessages, 16384)
	orInt(&c.QueueBytes, 128<<20)
	if c.CheckpointBytes == 0 {
		c.CheckpointBytes = 64 << 30
	}
	orTime(&c.ElectionTimeout, time.Second)
	orTime(&c.RequestTimeout, 30*time.Second)
	orTime(&c.PeerTimeout, 10*time.Second)
	if c.CheckpointEvery == 0 {
		c.CheckpointEvery = defaultEvery
	}
	if c.TrailingLogs == 0 {
		c.TrailingLogs = defaultTrailing
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if self, ok := c.peer(c.ID); ok {
		if c.RaftAddr == "" {
			c.RaftAddr = self.Raft
		}
		if c.HTTPAddr == "" {
			c.HTTPAddr = self.HTTP
		}
	}
	return c
}

// Validate reports every fault of the configuration at once. It wants WithDefaults to have been called.
func (c *Config) Validate() error {
	errs := faults{}
	if c.DataDir == "" {
		errs.add("DataDir is empty: name the folder for this node's data")
	}
	c.validateReplica(&errs)
	c.validateAddresses(&errs)
	return errors.Join(errs...)
}

// validateReplica checks what a replica needs wherever it stands.
func (c *Config) validateReplica(errs *faults) {
	errs.name("ID", c.ID)
	errs.name("ClusterID", c.ClusterID)
	errs.number("Workers", int64(c.Workers), 0, 1024)
	errs.number("CheckpointsKept", int64(c.CheckpointsKept), 2, 64)
	errs.number("RoundMessages", int64(c.RoundMessages), 1, fsm.MaxRoundMessages)
	errs.number("RoundBytes", int64(c.RoundBytes), 1, fsm.MaxRoundBytes)
	errs.number("RoundsInFlight", int64(c.RoundsInFlight), 1, 64)
	errs.number("AppendEntries", int64(c.AppendEntries), 1, 1024)
	errs.number("QueueMessages", int64(c.QueueMessages), 1, 1<<20)
	errs.number("CheckpointBytes", c.CheckpointBytes, 1<<20, 1<<40)
	errs.number("QueueBytes", int64(c.QueueBytes), fsm.MaxRoundBytes, 1<<40)
	if c.TrailingLogs > 1<<32 {
		errs.add("TrailingLogs is %d, must be 1 to %d", c.TrailingLogs, uint64(1)<<32)
	}
	errs.duration("ElectionTimeout", c.ElectionTimeout, 20*time.Millisecond, time.Minute)
	errs.duration("RequestTimeout", c.RequestTimeout, time.Millisecond, time.Hour)
	errs.duration("PeerTimeout", c.PeerTimeout, 10*time.Millisecond, time.Hour)
	if c.Tracker != "" {
		if _, err := memstore.ParseTracker(string(c.Tracker)); err != nil {
			errs.add("Tracker: %v", err)
		}
	}
	if err := (canister.EngineConfig{OptLevel: c.OptLevel}).Validate(); err != nil {
		*errs = append(*errs, err)
	}
	errs.number("Peers: their number", int64(len(c.Peers)), 1, maxPeers)
	if _, ok := c.peer(c.ID); !ok {
		errs.add("ID %q is not one of the Peers", c.ID)
	}
	for i, p := range c.Peers {
		errs.name(fmt.Sprintf("Peers[%d].ID", i), p.ID)
	}
}

func (c *Config) validateAddresses(errs *faults) {
	owner := map[string]string{}
	claim := func(what, value, id string) {
		if other, taken := owner[value]; taken && value != "" {
			errs.add("Peers: %s %s of %s is also %s's", what, value, id, other)
		}
		owner[value] = id
	}
	for i, p := range c.Peers {
		claim("ID", p.ID, p.ID)
		for _, addr := range [...]struct{ what, value string }{{"Raft", p.Raft}, {"HTTP", p.HTTP}} {
			claim("address", addr.value, p.ID)
			if _, _, err := net.SplitHostPort(addr.value); err != nil {
				errs.add("Peers[%d].%s is %q, must be host:port", i, addr.what, addr.value)
			}
		}
	}
}

func (c *Config) peer(id string) (Peer, bool) {
	for _, p := range c.Peers {
		if p.ID == id {
			return p, true
		}
	}
	return Peer{}, false
}

// faults collects what is wrong with a configuration.
type faults []error

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

func (f *faults) number(field string, v, low, high int64) {
	if v < low || v > high {
		f.add("%s is %d, must be %d to %d", field, v, low, high)
	}
}

func (f *faults) duration(field string, v, low, high time.Duration) {
	if v < low || v > high {
		f.add("%s is %s, must be %s to %s", field, v, low, high)
	}
}

func (f *faults) name(field, name string) {
	if err := link.ValidateID(name); err != nil {
		f.add("%s: %w", field, err)
	}
}

package fsm

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"lockstep/canister"
)

// Kind says what a message asks of the state machine.
type Kind uint8

// The kinds of messages. Their numbers are part of the log format.
const (
	// KindUpdate calls an update method of a canister.
	KindUpdate Kind = 1
	// KindOpenSession opens a client session; the reply carries its number.
	KindOpenSession Kind = 2
	// KindInstall creates a canister from a module and runs its start function and canister_init.
	KindInstall Kind = 3
	// KindUpgrade changes a canister's module and keeps its state as the module says.
	KindUpgrade Kind = 4
	// KindReinstall changes a canister's module and keeps nothing but its name, its number and its controllers.
	KindReinstall Kind = 5
	// KindStop makes a canister take no more messages; it is answered when nothing of the canister is outstanding.
	KindStop Kind = 6
	// KindStart makes it take messages again.
	KindStart Kind = 7
	// KindDelete takes a stopped canister out of the cluster.
	KindDelete Kind = 8
	// KindLimits changes limits of a canister, or of the cluster if it names none. Its argument is text: NAME=NUMBER, separated by
	// spaces.
	KindLimits Kind = 9
)

var kindNames = [...]string{KindUpdate: "update", KindOpenSession: "open-session", KindInstall: "install", KindUpgrade: "upgrade",
	KindReinstall: "reinstall", KindStop: "stop", KindStart: "start", KindDelete: "delete", KindLimits: "limits"}

// String names the kind as it is shown to people.
func (k Kind) String() string {
	if int(k) < len(kindNames) && k != 0 {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// SessionID names a client session. Sessions are numbered by the state machine from 1 in the order in which they are
// opened and a number is never used twice. 0 means "no session": no duplicate suppression.
type SessionID uint64

// Message is one request in a round.
type Message struct {
	_ struct{} `cbor:",toarray"`

	Kind Kind
	// Session and Sequence suppress duplicates: of one session, each sequence number runs at most once, and the
	// numbers that run only grow. Session 0 runs the message whenever it arrives.
	Session  SessionID
	Sequence uint64
	// Caller is handed to the canister as the caller's identity, at most MaxCallerBytes; an empty one as the anonymous principal.
	Caller []byte
	// Canister is the canister's name: of the one to call, to install, or to change.
	Canister string
	// Method is the update method to call; empty for other kinds.
	Method string
	// Arg is the argument of the method, of canister_init or of canister_post_upgrade; of KindLimits the limits.
	Arg []byte
	// Module is the Wasm binary to install, also of an upgrade; empty for other kinds.
	Module []byte
	// SkipPreUpgrade and Memory say how an upgrade is done; zero for other kinds.
	SkipPreUpgrade bool
	Memory         canister.MemoryPersistence
}

// Size is the number of bytes that the message counts for against the limits of a round.
func (m *Message) Size() int {
	return messageOverhead + len(m.Caller) + len(m.Canister) + len(m.Method) + len(m.Arg) + len(m.Module)
}

// messageOverhead bounds what the encoding adds to the variable parts of a message.
const messageOverhead = 64

// Hard limits of the log format. The replicated Limits are at most these.
const (
	MaxCallerBytes       = 29 // of a principal
	MaxCanisterNameBytes = 64
	MaxMethodNameBytes   = 256
	MaxArgBytes          = 16 << 20
	MaxModuleBytes       = 64 << 20
)

// Validate reports everything about the message that no state machine would accept, before it is put into a round.
// It does not look at any state.
func (m *Message) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(m.Caller) > MaxCallerBytes {
		fail("caller is %d bytes long, at most %d are allowed", len(m.Caller), MaxCallerBytes)
	}
	if len(m.Arg) > MaxArgBytes {
		fail("argument is %d bytes long, at most %d are allowed", len(m.Arg), MaxArgBytes)
	}
	if len(m.Module) > MaxModuleBytes {
		fail("module is %d bytes long, at most %d are allowed", len(m.Module), MaxModuleBytes)
	}
	if m.Session != 0 && m.Sequence == 0 {
		fail("sequence number is 0: a session's messages are numbered from 1")
	}
	switch m.Kind {
	case KindUpdate:
		if err := validateName("canister", m.Canister, MaxCanisterNameBytes); err != nil {
			errs = append(errs, err)
		}
		if err := validateName("method", m.Method, MaxMethodNameBytes); err != nil {
			errs = append(errs, err)
		}
	case KindInstall, KindUpgrade, KindReinstall:
		if err := ValidateCanisterName(m.Canister); err != nil {
			errs = append(errs, err)
		}
		if len(m.Module) == 0 {
			fail("module is empty")
		}
		if m.Memory > canister.MemoryReplace {
			fail("unknown persistence %d of an upgrade's memory", m.Memory)
		}
	case KindStop, KindStart, KindDelete:
		if err := ValidateCanisterName(m.Canister); err != nil {
			errs = append(errs, err)
		}
	case KindLimits:
		if m.Canister != "" {
			errs = append(errs, ValidateCanisterName(m.Canister))
		}
	case KindOpenSession:
		if m.Session != 0 {
			fail("a session cannot be opened inside session %d", m.Session)
		}
	default:
		fail("unknown message kind %d", m.Kind)
	}
	return errors.Join(errs...)
}

func validateName(what, name string, limit int) error {
	switch {
	case name == "":
		return fmt.Errorf("%s name is empty", what)
	case len(name) > limit:
		return fmt.Errorf("%s name is %d bytes long, at most %d are allowed", what, len(name), limit)
	case !utf8.ValidString(name):
		return fmt.Errorf("%s name %q is not UTF-8", what, name)
	}
	return nil
}

// ValidateCanisterName checks a name for a new canister: 1 to MaxCanisterNameBytes of a-z, 0-9, '-', '_' and '.',
// beginning with a letter or a digit.
func ValidateCanisterName(name string) error {
	if err := validateName("canister", name, MaxCanisterNameBytes); err != nil {
		return err
	}
	if name == ManagementCanister {
		return fmt.Errorf("%s is the management canister: it takes updates only", name)
	}
	for i, r := range name {
		letterOrDigit := r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
		if letterOrDigit || i > 0 && (r == '-' || r == '_' || r == '.') {
			continue
		}
		return fmt.Errorf("canister name %q: character %q at %d is not allowed; names are of a-z and 0-9, after the first also of - _ and dots", name, r, i)
	}
	return nil
}

// callerOf is the principal that canisters see for what a client gave as its caller. The empty principal is the management
// canister's, which no client is.
func callerOf(given []byte) []byte {
	if len(given) == 0 {
		return []byte{0x04} // anonymous
	}
	return given
}

package systemapi

// Occasion is the kind of execution that a host function is called from.
type Occasion uint32

// The occasions, with the letters by which the Internet Computer's
// specification names them in its table of the System API.
const (
	InStart           Occasion = 1 << iota // s: start function
	InInit                                 // I: _initialize, canister_init, canister_post_upgrade
	InPreUpgrade                           // G
	InUpdate                               // U: update method
	InReplicatedQuery                      // RQ: query method called as an update
	InQuery                                // NRQ: query method
	InCompositeQuery                       // CQ
	InReply                                // Ry: reply callback
	InReject                               // Rt: reject callback
	InCleanup                              // C: cleanup callback
	InCompositeReply                       // CRy
	InCompositeReject                      // CRt
	InInspect                              // F: canister_inspect_message
	InTask                                 // T: heartbeat and global timer
)

const (
	inCallback          = InReply | InReject
	inCompositeCallback = InCompositeReply | InCompositeReject
	// inMethod is wherever there is somebody to answer to.
	inMethod     = InUpdate | InReplicatedQuery | InQuery | InCompositeQuery | inCallback | inCompositeCallback
	inUnanswered = InInit | InPreUpgrade | InCleanup | InInspect | InTask
	notInStart   = inMethod | inUnanswered
	always       = InStart | notInStart

	hasArgument  = InInit | InUpdate | InReplicatedQuery | InQuery | InCompositeQuery | InReply | InCompositeReply | InInspect
	hasReject    = inCallback | inCompositeCallback | InCleanup
	canCall      = InUpdate | InCompositeQuery | inCallback | inCompositeCallback | InTask
	canCertify   = InInit | InUpdate | inCallback | InTask
	canSetTimer  = InInit | InPreUpgrade | InUpdate | inCallback | InCleanup | InTask
	canAccept    = InUpdate | InReplicatedQuery | inCallback
	canBurn      = InInit | InPreUpgrade | InUpdate | InReplicatedQuery | inCallback | InCleanup | InTask
	knowsCaller  = inMethod | InCleanup | InInspect
	isReplicated = always &^ (InQuery | InCompositeQuery | inCompositeCallback | InInspect)
)

func (o Occasion) String() string {
	switch o {
	case InStart:
		return "the start function"
	case InInit:
		return "canister_init"
	case InPreUpgrade:
		return "canister_pre_upgrade"
	case InUpdate:
		return "an update"
	case InReplicatedQuery, InQuery:
		return "a query"
	case InCompositeQuery:
		return "a composite query"
	case InReply, InCompositeReply:
		return "a reply callback"
	case InReject, InCompositeReject:
		return "a reject callback"
	case InCleanup:
		return "a cleanup callback"
	case InInspect:
		return "canister_inspect_message"
	case InTask:
		return "a timer or heartbeat"
	}
	return "nowhere"
}

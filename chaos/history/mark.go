package history

// MarkName names a rare path. A batch of runs in which one was never reached has proved nothing about it.
type MarkName string

// The rare paths. A runner records those that cannot be seen in other events; checkers find the others by themselves.
const (
	MarkInstall          MarkName = "install-snapshot"
	MarkTruncated        MarkName = "suffix-truncated"
	MarkRestored         MarkName = "restored-at-start"
	MarkReplayed         MarkName = "replayed-at-start"
	MarkLeaderInFlight   MarkName = "leader-changed-with-writes-in-flight"
	MarkUnknown          MarkName = "outcome-unknown"
	MarkUnknownRan       MarkName = "unknown-ran"
	MarkDuplicate        MarkName = "duplicate-suppressed"
	MarkDiskFull         MarkName = "disk-full"
	MarkDiskFailed       MarkName = "disk-failed"
	MarkSyncFailed       MarkName = "sync-failed"
	MarkWritesLost       MarkName = "unsynced-writes-lost"
	MarkWritesTorn       MarkName = "write-torn"
	MarkPaused           MarkName = "leader-paused"
	MarkCheckpointBad    MarkName = "damaged-checkpoint-refused"
	MarkLogBad           MarkName = "damaged-log-refused"
	MarkStaleInstall     MarkName = "stale-install-refused"
	MarkInstallCut       MarkName = "install-cut-short"
	MarkWiped            MarkName = "wiped-node-returned"
	MarkMembers          MarkName = "membership-changed"
	MarkTransfer         MarkName = "leadership-transferred"
	MarkPartitionLeader  MarkName = "leader-partitioned"
	MarkOptionsChanged   MarkName = "restarted-with-other-options"
	MarkCrashedInInstall MarkName = "crashed-in-install"
	MarkStaleRead        MarkName = "stale-query-behind"
	MarkOutOfFuel        MarkName = "out-of-fuel"
)

// marks lists the rare paths with what each is.
var marks = []struct {
	name MarkName
	doc  string
}{
	{MarkInstall, "a checkpoint was installed while a node ran"},
	{MarkTruncated, "a log lost entries that were not committed"},
	{MarkRestored, "a node began with a checkpoint"},
	{MarkReplayed, "a node that began with a checkpoint repeated the log behind it"},
	{MarkLeaderInFlight, "the leader changed while calls were on their way"},
	{MarkUnknown, "a call ended unknown"},
	{MarkUnknownRan, "a call ended unknown and had happened"},
	{MarkDuplicate, "a message arrived twice and ran once"},
	{MarkDiskFull, "a write failed for want of space"},
	{MarkDiskFailed, "another disk operation failed"},
	{MarkSyncFailed, "a sync failed"},
	{MarkWritesLost, "a crash lost writes"},
	{MarkWritesTorn, "a crash kept a part of a write"},
	{MarkPaused, "a leader stood still for longer than its lease"},
	{MarkCheckpointBad, "a damaged checkpoint was not used"},
	{MarkLogBad, "a damaged log was not used"},
	{MarkStaleInstall, "an old checkpoint was not taken"},
	{MarkInstallCut, "a checkpoint's stream ended early"},
	{MarkWiped, "a node came back with nothing and caught up"},
	{MarkMembers, "a node was taken out of the cluster or added to it"},
	{MarkTransfer, "a leader handed leadership on"},
	{MarkPartitionLeader, "a leader was cut off"},
	{MarkOptionsChanged, "a node came back with another tracker or other options"},
	{MarkCrashedInInstall, "a node crashed between a checkpoint's arrival and its use"},
	{MarkStaleRead, "an untracked query read an old state"},
	{MarkOutOfFuel, "a message used up its fuel and was rolled back"},
}

// MarkNames lists them all.
func MarkNames() []MarkName {
	names := make([]MarkName, len(marks))
	for i := range marks {
		names[i] = marks[i].name
	}
	return names
}

// Doc says what the path is, in a clause; "" for one that there is not.
func (m MarkName) Doc() string {
	for i := range marks {
		if marks[i].name == m {
			return marks[i].doc
		}
	}
	return ""
}

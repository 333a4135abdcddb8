package history

// MarkName names a rare path. A batch of runs in which one was never reached has proved nothing about it.
type MarkName string

// The rare paths. A runner records those that cannot be seen in other events; checkers find the others by themselves.
const (
	MarkInstall          MarkName = "install-snapshot"                     // a checkpoint was installed while a node ran
	MarkTruncated        MarkName = "suffix-truncated"                     // a log lost entries that were not committed
	MarkRestored         MarkName = "restored-at-start"                    // a node began with a checkpoint
	MarkReplayed         MarkName = "replayed-at-start"                    // and repeated the log behind it
	MarkLeaderInFlight   MarkName = "leader-changed-with-writes-in-flight" // while calls were on their way
	MarkUnknown          MarkName = "outcome-unknown"                      // a call ended unknown
	MarkUnknownRan       MarkName = "unknown-ran"                          // and had happened
	MarkDuplicate        MarkName = "duplicate-suppressed"                 // a message arrived twice and ran once
	MarkDiskFull         MarkName = "disk-full"                            // a write failed for want of space
	MarkDiskFailed       MarkName = "disk-failed"                          // another disk operation failed
	MarkSyncFailed       MarkName = "sync-failed"                          // a sync failed
	MarkWritesLost       MarkName = "unsynced-writes-lost"                 // a crash lost writes
	MarkWritesTorn       MarkName = "write-torn"                           // a crash kept a part of a write
	MarkPaused           MarkName = "leader-paused"                        // a leader stood still for longer than its lease
	MarkCheckpointBad    MarkName = "damaged-checkpoint-refused"           // a damaged checkpoint was not used
	MarkLogBad           MarkName = "damaged-log-refused"                  // a damaged log was not used
	MarkStaleInstall     MarkName = "stale-install-refused"                // an old checkpoint was not taken
	MarkInstallCut       MarkName = "install-cut-short"                    // a checkpoint's stream ended early
	MarkWiped            MarkName = "wiped-node-returned"                  // a node came back with nothing and caught up
	MarkMembers          MarkName = "membership-changed"                   //
	MarkTransfer         MarkName = "leadership-transferred"               //
	MarkPartitionLeader  MarkName = "leader-partitioned"                   // a leader was cut off
	MarkOptionsChanged   MarkName = "restarted-with-other-options"         //
	MarkCrashedInInstall MarkName = "crashed-in-install"                   // between a checkpoint's arrival and its use
	MarkStaleRead        MarkName = "stale-query-behind"                   // an untracked query read an old state
	MarkOutOfFuel        MarkName = "out-of-fuel"                          // a message used up its fuel and was rolled back
)

// MarkNames lists them all.
func MarkNames() []MarkName {
	return []MarkName{MarkInstall, MarkTruncated, MarkRestored, MarkReplayed, MarkLeaderInFlight, MarkUnknown, MarkUnknownRan,
		MarkDuplicate, MarkDiskFull, MarkDiskFailed, MarkSyncFailed, MarkWritesLost, MarkWritesTorn, MarkPaused,
		MarkCheckpointBad, MarkLogBad, MarkStaleInstall, MarkInstallCut, MarkWiped, MarkMembers, MarkTransfer,
		MarkPartitionLeader, MarkOptionsChanged, MarkCrashedInInstall, MarkStaleRead, MarkOutOfFuel}
}

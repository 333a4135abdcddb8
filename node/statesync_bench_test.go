package node

import (
	"fmt"
	"testing"

	"lockstep/snapshot"
)

// BenchmarkSync is one checkpoint of n pages that do not compress, to a follower that lacks some of them, over loopback, from the
// offer to the answer.
func BenchmarkSync(b *testing.B) {
	const n = 16384 // 64 MiB
	for _, missing := range []int{16, 1024, n} {
		b.Run(fmt.Sprintf("pages=%d/missing=%d", n, missing), func(b *testing.B) {
			state := newPages(n, 1)
			carried := uint64(0)
			for b.Loop() {
				b.StopTimer()
				follower := newSyncEnd(b, "n2")
				leader := newSyncEnd(b, "n1", Peer{ID: "n2", Raft: follower.addr})
				newer := state.clone()
				if missing < n {
					follower.checkpoint(5, state)
					for i := range missing {
						newer.set(uint64(i*7%n*3/2), 2)
					}
				}
				leader.checkpoint(9, newer)
				b.StartTimer()
				leader.mustSend("n2")
				b.StopTimer()
				if got := leader.last(); got.Pages != uint64(missing) {
					b.Fatalf("%+v", got)
				}
				carried = leader.last().Carried
				leader.close()
				follower.close()
				b.StartTimer()
			}
			b.ReportMetric(float64(carried)/float64(missing*snapshot.PageSize), "bytes/missing-byte")
			b.ReportMetric(float64(missing*snapshot.PageSize)*float64(b.N)/1e6/b.Elapsed().Seconds(), "MB/s")
		})
	}
}

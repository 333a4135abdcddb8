package node

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lockstep/memstore"
)

// BenchmarkUpdates sends updates of 256 bytes through the client port of three nodes in this process, on disk, and checks the
// count at the end.
func BenchmarkUpdates(b *testing.B) {
	for _, callers := range []int{1, 16, 256} {
		for _, inFlight := range []int{1, 4, 16} {
			b.Run(fmt.Sprintf("callers=%d/inflight=%d", callers, inFlight), func(b *testing.B) { benchmarkUpdates(b, callers, inFlight) })
		}
	}
}

func benchmarkUpdates(b *testing.B, callers, inFlight int) {
	var peers []Peer
	for i := range 3 {
		var addrs [2]string
		for j := range addrs {
			r, err := Reserve()
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			addrs[j] = r.Addr
		}
		peers = append(peers, Peer{ID: fmt.Sprintf("n%d", i+1), Raft: addrs[0], HTTP: addrs[1]})
	}
	var addrs []string
	var nodes []*Node
	for _, p := range peers {
		n, err := Start(Config{ID: p.ID, ClusterID: "bench", DataDir: filepath.Join(b.TempDir(), p.ID), Peers: peers,
			Tracker: memstore.TrackerPrefetch, RoundsInFlight: inFlight, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		defer n.Stop()
		nodes, addrs = append(nodes, n), append(addrs, p.HTTP)
	}
	client, err := NewClient(ClientConfig{Addresses: addrs})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	ctx := b.Context()
	if _, err := client.Install(ctx, "counter", []byte(counterWAT), nil); err != nil {
		b.Fatal(err)
	}
	leader := slices.IndexFunc(nodes, func(n *Node) bool { return n.Status().Role == "leader" })
	client.prefer(addrs[leader])
	before := nodes[leader].Status().Round
	arg := make([]byte, 256)
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var all sync.WaitGroup
	cpu := cpuTime(b)
	b.ResetTimer()
	for range callers {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				start := time.Now()
				if _, err := client.Update(ctx, "counter", "add", arg); err != nil {
					b.Error(err)
				}
				took[i] = time.Since(start)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	cpu = cpuTime(b) - cpu
	rounds := float64(nodes[leader].Status().Round - before)
	r, err := client.Query(ctx, "counter", "get", nil)
	if err != nil || count(r) != uint64(256*b.N) {
		b.Fatalf("count %d, want %d; %v", count(r), 256*b.N, err)
	}
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N), "cpu-us/message")
	b.ReportMetric(rounds/b.Elapsed().Seconds(), "rounds/s")
	b.ReportMetric(float64(b.N)/rounds, "messages/round")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// cpuTime is what this process has used, all three nodes and the client together.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

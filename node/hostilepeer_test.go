package node

import (
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/node/link"
)

// mostForPeers bounds what promises cost: 16 connections, for each of which Raft's transport and the frames buffer half a MiB, and
// as much as the work beside them takes.
const mostForPeers = 48 << 20

// heapGrowth is how much memory Go has taken from the system while f ran: it never falls, so that a peak is not missed.
func heapGrowth(f func()) uint64 {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	had, has := before.HeapSys+before.StackSys, after.HeapSys+after.StackSys
	return has - min(had, has) // stacks shrink
}

// hostileMessages are beginnings of messages of Raft's protocol that promise much more than they hold: the kind of a call, and
// MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md).
var hostileMessages = func() map[string][]byte {
	field := func(call byte, name string, value ...byte) []byte {
		return append(append([]byte{call, 0x81, 0xa0 | byte(len(name))}, name...), value...)
	}
	const huge = "\xff\xff\xff\xff"
	const large = "\x7f\xff\xff\xff"
	return map[string][]byte{
		"map of 4 G fields":            []byte("\x00\xdf" + huge),
		"array of 4 G values":          []byte("\x00\xdd" + huge),
		"4 G entries":                  field(0, "Entries", []byte("\xdd"+huge)...),
		"2 G entries":                  field(0, "Entries", []byte("\xdd"+large)...),
		"an entry of 4 GiB":            field(0, "Entries", []byte("\x91\x81\xa4Data\xc6"+huge)...),
		"an entry of 2 GiB":            field(0, "Entries", []byte("\x91\x81\xa4Data\xc6"+large)...),
		"a leader of 4 GiB":            field(0, "Leader", []byte("\xc6"+huge)...),
		"a candidate of 2 GiB":         field(1, "Candidate", []byte("\xdb"+large)...),
		"a field's name of 4 GiB":      []byte("\x00\x81\xdb" + huge),
		"a configuration of 2 GiB":     field(2, "Configuration", []byte("\xc6"+large)...),
		"a checkpoint of 8 EiB":        field(2, "Size", []byte("\xd3\x7f\xff\xff\xff\xff\xff\xff\xff")...),
		"maps within maps":             repeated(0, "\x81\xa1x", 20000),
		"arrays within arrays":         repeated(0, "\x91", 60000),
		"calls that do not exist":      {200, 201, 202},
		"a vote that is asked for ill": field(4, "Term", 0xc0),
	}
}()

func repeated(call byte, part string, n int) []byte {
	b := []byte{call}
	for range n {
		b = append(b, part...)
	}
	return b
}

// What a peer promises and does not send costs no memory, on however many connections, and however slowly it sends; the others go on.
func TestHostilePeersCostNoMemory(t *testing.T) {
	c := newCluster(t, 3, nil) // the third is the hostile one
	c.start(0)
	c.start(1)
	client := c.client()
	c.install(client, "counter")
	c.add(client, "counter", 3)
	layer := link.NewLayer(link.Config{Self: "n3", Cluster: "test", Timeout: 5 * time.Second,
		Peers: map[string]string{"n1": c.cfgs[0].Peers[0].Raft, "n2": c.cfgs[0].Peers[1].Raft}}, unheard{})
	defer layer.Close()
	for name, message := range hostileMessages {
		var open []net.Conn
		grown := heapGrowth(func() {
			for i := range 2 * link.MaxPerPeer {
				conn, err := layer.Dial("n1", 5*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				open = append(open, conn)
				half := len(message)
				if i%2 == 0 {
					half /= 2 // the rest comes when it wants to
				}
				_, _ = conn.Write(message[:half]) // what is refused already is not wanted
			}
			for i, conn := range open {
				if i%2 == 0 {
					_, _ = conn.Write(message[len(message)/2:])
				}
			}
			c.add(client, "counter", 1)
		})
		for _, conn := range open {
			_ = conn.Close()
		}
		if grown > mostForPeers {
			t.Errorf("%s: %d MiB more, at most %d are to be had", name, grown>>20, mostForPeers>>20)
		}
	}
	if n := strings.Count(c.log.String(), "failed to decode incoming command"); n < len(hostileMessages) {
		t.Errorf("%d connections ended because of what they carried: the messages do not reach the decoder", n)
	}
}

// A message that does hold what it promises ends where the largest entry does.
func TestEndlessMessageIsCut(t *testing.T) {
	c := newCluster(t, 2, nil) // the second is the hostile one
	c.start(0)
	layer := link.NewLayer(link.Config{Self: "n2", Cluster: "test", Timeout: 5 * time.Second, Peers: map[string]string{"n1": c.cfgs[0].Peers[0].Raft}}, unheard{})
	defer layer.Close()
	conn, err := layer.Dial("n1", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	_, err = conn.Write([]byte("\x00\x81\xa1x\xc6\x7f\xff\xff\xff")) // a field that the decoder skips, of 2 GiB
	sent := 0
	for err == nil && sent < 4*messageBytes {
		var n int
		n, err = conn.Write(block)
		sent += n
	}
	if err == nil {
		t.Errorf("%d MiB of one message were taken", sent>>20)
	}
	c.eventually("the reason in the log", func() bool {
		return strings.Contains(c.log.String(), "node n2 has sent a message of more than")
	})
}

// A message to a follower is cut behind the entries that it may hold, and never before the first.
func TestMessagesAreShortened(t *testing.T) {
	entry := func(size int) *raft.Log { return &raft.Log{Data: make([]byte, size)} }
	for _, c := range []struct{ sizes, want []int }{
		{nil, nil},
		{[]int{entriesBytes + 1}, []int{entriesBytes + 1}},
		{[]int{entriesBytes + 1, 0}, []int{entriesBytes + 1}},
		{[]int{entriesBytes - 1, 1, 1, 1}, []int{entriesBytes - 1, 1}},
		{[]int{1, entriesBytes, 1}, []int{1}},
		{[]int{1, 2, 3}, []int{1, 2, 3}},
	} {
		var req raft.AppendEntriesRequest
		for _, size := range c.sizes {
			req.Entries = append(req.Entries, entry(size))
		}
		shorten(&req)
		var got []int
		for _, e := range req.Entries {
			got = append(got, len(e.Data))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("of %v are sent %v, want %v", c.sizes, got, c.want)
		}
	}
}

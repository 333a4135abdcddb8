package canister

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"lockstep/canister/candid"
	"lockstep/canister/program"
	"lockstep/memstore"
)

// uncounted is a prepared program without the counting of depth: each
// instruction of it is a nop, which the compiler makes nothing of.
func uncounted(tb testing.TB, p *Program) *Program {
	tb.Helper()
	leb := func(n uint32) []byte { return binary.AppendUvarint(nil, uint64(n)) }
	depth := leb(depthGlobal(tb, p.Wasm))
	get, set := slices.Concat([]byte{0x23}, depth, []byte{0x41}), slices.Concat([]byte{0x24}, depth)
	check := slices.Concat([]byte{0x23}, depth, []byte{0x41}, signedLEB(int64(p.Config.StackUnits)), []byte{0x4b, 0x04, 0x40, 0x00, 0x0b})
	wasm, found := bytes.Clone(p.Wasm), 0
	for at := 0; ; {
		i := bytes.Index(wasm[at:], get)
		if i < 0 {
			break
		}
		i += at
		at = i + 1
		end := i + len(get)
		for wasm[end]&0x80 != 0 { // the weight
			end++
		}
		end++
		if op := wasm[end]; op != 0x6a && op != 0x6b || !bytes.HasPrefix(wasm[end+1:], set) {
			continue
		}
		entered := wasm[end] == 0x6a
		if end += 1 + len(set); entered {
			if !bytes.HasPrefix(wasm[end:], check) {
				continue
			}
			end += len(check)
			found++
		}
		for ; i < end; i++ {
			wasm[i] = 0x01
		}
	}
	if found == 0 {
		tb.Fatal("the module counts nothing")
	}
	out := *p
	out.Wasm = wasm
	return &out
}

func signedLEB(n int64) []byte {
	var out []byte
	for {
		b := byte(n & 0x7f)
		if n >>= 7; n == 0 && b&0x40 == 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

// depthGlobal finds the index of the depth global in the export section.
func depthGlobal(tb testing.TB, wasm []byte) uint32 {
	tb.Helper()
	name := append([]byte{byte(len(program.DepthExport))}, program.DepthExport...)
	i := bytes.Index(wasm, append(name, 3))
	if i < 0 {
		tb.Fatal("no depth global is exported")
	}
	n, _ := binary.Uvarint(wasm[i+len(name)+1:])
	return uint32(n)
}

// depthWork is what real programs are given to do.
var depthWork = []struct {
	guest, method, arg string
	candid             bool
}{
	{"heavy-enhanced", "garbage", "(1000 : nat)", true},
	{"heavy-enhanced", "plant", "(100 : nat)", true},
	{"heavy-classic", "garbage", "(1000 : nat)", true},
	{"heavy-classic", "plant", "(100 : nat)", true},
	{"store-enhanced", "size", "()", true},
	{"words", "add", "the quick brown fox jumps over the lazy dog and runs away from it", false},
	{"index", "add", "Song: let it be as it was and as it will be, whatever else may come", false},
}

// BenchmarkDepth gives what counting the depth of the stack costs real
// programs: the time of a message over that of the same message in the same
// module without the counting, both in turn, and the fuel likewise.
func BenchmarkDepth(b *testing.B) {
	for _, c := range depthWork {
		b.Run("guest="+c.guest+"/method="+c.method, func(b *testing.B) {
			wasm, err := os.ReadFile(filepath.Join(guestDir, c.guest+".wasm"))
			if err != nil {
				b.Fatal(err)
			}
			encode := func(text string) []byte {
				if !c.candid {
					return []byte(text)
				}
				arg, err := candid.Encode(text, nil)
				if err != nil {
					b.Fatal(err)
				}
				return arg
			}
			s := guestSetup(0, memstore.TrackerPrefetch)
			s.engine = EngineConfig{}
			r := &rig{t: b, config: s.config(b)}
			counted, err := Prepare(wasm, s.limits)
			if err != nil {
				b.Fatal(err)
			}
			var cans [2]*Canister
			for i, p := range []*Program{counted, uncounted(b, counted)} {
				m, err := r.config.Engine.Compile(p)
				if err != nil {
					b.Fatal(err)
				}
				var out Outcome
				if cans[i], out, err = Install(r.config, m, r.env(), encode("()")); err != nil || out.Status != Replied {
					b.Fatalf("install: %v, error %v", out, err)
				}
				defer cans[i].Close()
			}
			msg := Message{Method: c.method, Arg: encode(c.arg)}
			var times [2][]time.Duration
			var fuel [2]uint64
			for b.Loop() {
				for i, can := range cans {
					env := r.env()
					start := time.Now()
					out, err := can.Update(env, msg)
					times[i] = append(times[i], time.Since(start))
					if err != nil || out.Status != Replied {
						b.Fatalf("%v, error %v", out, err)
					}
					fuel[i] += out.Fuel
				}
			}
			for i := range times {
				slices.Sort(times[i])
			}
			median := func(i int) float64 { return float64(times[i][len(times[i])/2]) }
			b.ReportMetric(median(0)/1e3, "us-counted")
			b.ReportMetric(median(0)/median(1), "time-ratio")
			b.ReportMetric(float64(fuel[0])/float64(fuel[1]), "fuel-ratio")
		})
	}
}

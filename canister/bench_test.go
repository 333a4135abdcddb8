package canister

import (
	"fmt"
	"testing"

	"lockstep/memstore"
)

const benchWAT = `(module
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (memory 1)
  (global $n (mut i32) (i32.const 0))
  (func $fib (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func (export "canister_update empty") (call $reply))
  (func (export "canister_update host") (local i32)
    (loop (drop (call $size)) (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1000))))
    (call $reply))
  (func (export "canister_update fib") (drop (call $fib (i32.const 20))) (call $reply))
  (func (export "canister_update trap") unreachable))`

// BenchmarkUpdate gives the fixed cost of a message, without tracking, and
// what a host call and a counted call (fib) add to it.
func BenchmarkUpdate(b *testing.B) {
	for _, path := range []CallPath{CallThin, CallStock} {
		e, err := NewEngine(EngineConfig{CallPath: path})
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range []struct {
			method string
			units  int
		}{{"empty", 1}, {"host", 1000}, {"fib", 21891}, {"trap", 1}} {
			b.Run(fmt.Sprintf("path=%s/method=%s", path, c.method), func(b *testing.B) {
				s := plainSetup()
				s.tracker = memstore.TrackerPrefetch
				r := &rig{t: b, config: s.config(b)}
				r.config.Engine = e
				can, _, err := Install(r.config, compile(b, r.config, wat(b, benchWAT)), Env{}, nil)
				if err != nil {
					b.Fatal(err)
				}
				defer can.Close()
				msg := Message{Method: c.method}
				for b.Loop() {
					if _, err := can.Update(Env{}, msg); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.units), "ns/unit")
			})
		}
		e.Close()
	}
}

package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/chaos/workload"
	"lockstep/fsm"
)

// callFunc is a Caller made of a function.
type callFunc func(ctx context.Context, m workload.Message) (fsm.Status, error)

func (f callFunc) Call(ctx context.Context, m workload.Message) (fsm.Status, error) { return f(ctx, m) }

// numbered gives messages named by their number: every third is a query.
type numbered struct{ n int }

func (s *numbered) Next() workload.Message {
	s.n++
	return workload.Message{Canister: "c", Method: fmt.Sprint(s.n), Query: s.n%3 == 0}
}

func drive(clients int, call callFunc) *Driver {
	return StartDriver(DriverConfig{
		Clients:  clients,
		Connect:  func(context.Context, int) (Caller, error) { return call, nil },
		Messages: func(int) workload.Messages { return &numbered{} },
	})
}

func TestDriverCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := drive(2, func(ctx context.Context, m workload.Message) (fsm.Status, error) {
			time.Sleep(10 * time.Millisecond)
			switch m.Method {
			case "1":
				return 0, fmt.Errorf("%w: no leader", ErrRefused)
			case "2":
				return 0, errors.New("connection lost")
			case "4":
				return fsm.StatusTrapped, nil
			}
			return fsm.StatusReplied, nil
		})
		time.Sleep(10*time.Millisecond*8 + 2*retryPause + 5*time.Millisecond)
		d.Stop(t.Context())
		got := d.Traffic()
		// Each client: 1 refused, 2 unknown, 3 query, 4 trapped, 5 replied, 6 query, 7 8 replied, 9 query on its way at Stop.
		if got.Refused != 2 || got.Unknown != 2 || got.Updates["trapped"] != 2 || got.Updates["replied"] != 6 || got.Queries["replied"] != 6 {
			t.Errorf("got %+v", got)
		}
		if got.Acknowledged() != 14 || got.LastError != "c.2: connection lost" {
			t.Errorf("got %d acknowledged, last error %q", got.Acknowledged(), got.LastError)
		}
		if l := got.Latency; l.Count != 8 || l.P50.Round(time.Millisecond) != 10*time.Millisecond || l.P99 < l.P50 || l.Max < l.P99 {
			t.Errorf("latency %+v", l)
		}
		if first, second := d.Recent(), d.Recent(); first.Count != 8 || second.Count != 0 {
			t.Errorf("recent %+v, then %+v", first, second)
		}
	})
}

func TestDriverOpensANewSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var connects atomic.Int32
		d := StartDriver(DriverConfig{
			Clients: 1,
			Connect: func(context.Context, int) (Caller, error) {
				if n := connects.Add(1); n == 2 {
					return nil, errors.New("no leader")
				}
				return callFunc(func(context.Context, workload.Message) (fsm.Status, error) {
					time.Sleep(time.Second)
					if connects.Load() == 1 {
						return fsm.StatusSessionExpired, nil
					}
					return fsm.StatusReplied, nil
				}), nil
			},
			Messages: func(int) workload.Messages { return &numbered{} },
		})
		time.Sleep(2500 * time.Millisecond)
		d.Stop(t.Context())
		got := d.Traffic()
		if connects.Load() != 3 || got.Updates["session-expired"] != 1 || got.Updates["replied"] == 0 || got.Refused != 1 {
			t.Errorf("after %d connects got %+v", connects.Load(), got)
		}
	})
}

func TestDriverGivesUpAfterTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := func(ctx context.Context, m workload.Message) (fsm.Status, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}
		d := drive(3, stuck)
		synctest.Wait()
		began := time.Now()
		d.Stop(t.Context())
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("stopped after %v, the grace is 10 s", took)
		}
		if got := d.Traffic(); got.Unknown != 3 {
			t.Errorf("got %+v, want 3 unknown", got)
		}

		d = drive(3, stuck)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began = time.Now()
		d.Stop(ctx)
		if took := time.Since(began); took != 0 {
			t.Errorf("stopped after %v, want at once", took)
		}
	})
}

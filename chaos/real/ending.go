package real

import (
	"context"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
)

// early gives a context that ends when the faults must: with ctx, or when the run is interrupted.
func (r *run) early(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() { // ends with ctx
		select {
		case <-r.Interrupt:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// end ends the history; what comes later is not part of it. why is "" unless it comes before the plan's end.
func (r *run) end(why string) { r.last(history.Event{Kind: history.Ended, Text: why}) }

// breakOff ends the recording without an end: what the history lacks may have happened.
func (r *run) breakOff(why string) { r.last(history.Event{Kind: history.Note, Text: why}) }

// last records the last event.
func (r *run) last(e history.Event) {
	r.record(e)
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
}

// unstarted ends a run that was interrupted before the plan's time began.
func (r *run) unstarted() (Result, error) {
	const why = "interrupted before the replicas were ready for the first fault"
	r.breakOff(why)
	result := Result{Interrupted: true, Verdict: check.Unfinished(why)}
	return result, r.report.Finish(result.Verdict)
}

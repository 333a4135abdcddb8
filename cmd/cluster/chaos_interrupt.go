package main

import (
	"context"
	"fmt"

	"lockstep/chaos/check"
)

// interrupts gives a context that ends when nothing that runs is of use any more. For real runs that are to be judged that is the second
// signal: by the first one their faults end, and they come to their end. A simulated run is judged when it is over or not at all, and so is
// one that only says whether a bug is caught or a smaller plan fails: they end with the first.
func (o *chaosOptions) interrupts(parent context.Context, out *chaosOutput) (context.Context, func()) {
	gently := o.real && !o.shrink && !o.planted
	told := "interrupted: what runs is ended without a verdict"
	if gently {
		told = "interrupted: the faults end, and the run is judged when its replicas have come to rest; again to end at once"
	}
	stop, ctx, forget := interrupts(parent, func() { out.say(told) })
	o.interrupt = stop
	if gently {
		return ctx, forget
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() { // ends with ctx
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); forget() }
}

// interrupted reports whether the user wants the command to end.
func (o *chaosOptions) interrupted() bool {
	select {
	case <-o.interrupt:
		return true
	default:
		return false
	}
}

// undecided ends a command that was interrupted before it had done what it was asked for.
func (o *chaosOptions) undecided(out *chaosOutput, format string, args ...any) error {
	out.say("interrupted " + fmt.Sprintf(format, args...))
	return &exitError{check.Undecided.ExitCode(), nil}
}

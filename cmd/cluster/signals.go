package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// errTwice is the cause of a context that ended because of a second signal.
var errTwice = errors.New("interrupted twice: everything was killed, there is no verdict")

// outputBroken tells whether nobody reads standard output or standard error any more.
func outputBroken() bool {
	streams := []unix.PollFd{{Fd: int32(os.Stdout.Fd())}, {Fd: int32(os.Stderr.Fd())}}
	if _, err := unix.Poll(streams, 0); err != nil {
		return false
	}
	return (streams[0].Revents|streams[1].Revents)&unix.POLLERR != 0
}

// interrupts gives a channel that is closed by the first signal to end, and a context that ends with the second. forget
// gives the signals back their usual meaning. Output into a closed pipe counts as a signal, so that it ends a run as cleanly as
// Ctrl-C; a connection that a killed replica broke raises the same signal and doesn't count.
func interrupts(parent context.Context, told func()) (stop <-chan struct{}, ctx context.Context, forget func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	first := make(chan struct{})
	ctx, cancel := context.WithCancelCause(parent)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; {
			select {
			case s := <-signals:
				if s == syscall.SIGPIPE && !outputBroken() {
					continue
				}
				if n++; n == 1 {
					close(first)
					if s != syscall.SIGPIPE {
						told()
					}
				} else if s != syscall.SIGPIPE {
					cancel(errTwice)
				}
			case <-done:
				return
			}
		}
	}()
	return first, ctx, func() {
		signal.Stop(signals)
		close(done)
		<-ended
		cancel(nil)
	}
}

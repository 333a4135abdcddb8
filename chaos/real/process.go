package real

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// process is one life of a replica's process. It can't outlive this one: it is killed when the thread that started it ends, and
// its standard input ends with this process.
type process struct {
	input  *os.File // commands
	events *os.File // read by the replica that has this process
	done   chan struct{}

	mu   sync.Mutex
	os   *os.Process
	exit string // how it ended, once done is closed
	code int    // exit code, -1 for a signal
}

// launch is how to start a process.
type launch struct {
	program string
	args    []string // with argv[0]
	log     string   // file for its output
}

// startProcess starts it.
func startProcess(l launch) (*process, error) {
	p := &process{done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(l, started)
	return p, <-started
}

// run keeps its thread for as long as the process lives: PR_SET_PDEATHSIG is bound to the thread that forks.
func (p *process) run(l launch, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	cmd, err := p.spawn(l)
	started <- err
	if err != nil {
		return
	}
	waitErr := cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.os = nil
	p.code = cmd.ProcessState.ExitCode()
	p.exit = cmd.ProcessState.String()
	var ended *exec.ExitError
	if waitErr != nil && !errors.As(waitErr, &ended) {
		p.exit += ": " + waitErr.Error()
	}
}

func (p *process) spawn(l launch) (*exec.Cmd, error) {
	fail := func(err error, files ...io.Closer) (*exec.Cmd, error) {
		for _, f := range files {
			f.Close()
		}
		return nil, fmt.Errorf("start a replica's process: %w", err)
	}
	log, err := os.OpenFile(l.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fail(err)
	}
	defer log.Close() // the process has its own
	stdin, input, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	defer stdin.Close()
	events, out, err := os.Pipe()
	if err != nil {
		return fail(err, input)
	}
	defer out.Close()
	cmd := &exec.Cmd{Path: l.program, Args: l.args, Stdin: stdin, Stdout: log, Stderr: log, ExtraFiles: []*os.File{out},
		// Its own process group: a Ctrl-C on the terminal is for this process to handle.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}}
	if err := cmd.Start(); err != nil {
		return fail(err, input, events)
	}
	p.input, p.events, p.os = input, events, cmd.Process
	return cmd, nil
}

// signal sends a signal if the process still runs.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.os != nil {
		_ = p.os.Signal(s) // it may have ended a moment ago
	}
}

// command writes a line to the process's standard input.
func (p *process) command(format string, args ...any) {
	_, _ = fmt.Fprintf(p.input, format+"\n", args...) // a process that has ended obeys nothing
}

// close gives back what belongs to it, once it has ended.
func (p *process) close() {
	p.input.Close()
	p.events.Close()
}

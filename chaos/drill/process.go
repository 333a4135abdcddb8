package drill

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is one run of a replica's process. It ends with this process, whatever ends this one: its standard input is a pipe
// that the kernel closes, and it has a parent-death signal.
type process struct {
	cmd      *exec.Cmd
	lifeline io.Closer
	ended    chan struct{} // closed when the process has ended
}

// startProcess starts a command line whose output is appended to a file.
func startProcess(argv []string, logPath string) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	stdin, lifeline, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return nil, errors.Join(err, stdin.Close(), lifeline.Close(), log.Close())
	}
	p := &process{lifeline: lifeline, ended: make(chan struct{}), cmd: &exec.Cmd{
		Path: path, Args: argv, Stdin: stdin, Stdout: log, Stderr: log,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}}
	started := make(chan error, 1)
	go p.run(started)
	err = <-started
	if err := errors.Join(stdin.Close(), log.Close()); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", argv[0], err), lifeline.Close())
	}
	return p, nil
}

// run keeps its thread until the process has ended: the parent-death signal is that thread's.
func (p *process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait() // how it ended is in ProcessState
		_ = p.lifeline.Close()
	}
	close(p.ended)
}

// running reports whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// end sends a signal and waits for the end.
func (p *process) end(s syscall.Signal) error {
	if p.running() {
		if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
	}
	<-p.ended
	return nil
}

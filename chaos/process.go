package chaos

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Exit codes by which a replica's process says why it ended. A Go panic ends with 2 as well.
const (
	// ExitStopped: it was asked to stop.
	ExitStopped = 0
	// ExitDiverged: its state is not the one that the leader attests.
	ExitDiverged = 1
	// ExitFailed: the world failed (disk, mapping, engine …), or it panicked.
	ExitFailed = 2
	// ExitUnusable: it could not start: wrong flags, port in use, a data folder of another cluster.
	ExitUnusable = 3
)

// ProcessState says what a replica's process is doing.
type ProcessState string

// The states of a process. The last four are final.
const (
	ProcessRunning    ProcessState = "running"
	ProcessRestarting ProcessState = "restarting"
	ProcessStopped    ProcessState = "stopped"
	ProcessDiverged   ProcessState = "diverged"
	ProcessFailed     ProcessState = "failed"
	ProcessUnusable   ProcessState = "unusable"
)

// ProcessStatus is a process at one moment.
type ProcessStatus struct {
	State ProcessState `json:"state"`
	// PID is that of the running process, 0 if there is none.
	PID int `json:"pid"`
	// Starts counts how often the process was started; restarts are one less.
	Starts int `json:"starts"`
	// Exit says how the last process ended, and its last words. Empty before the first end.
	Exit string `json:"exit,omitempty"`
}

// Restarts is how often the process was started again.
func (s ProcessStatus) Restarts() int { return max(0, s.Starts-1) }

// Final reports whether the process ended and will not be started again.
func (s ProcessStatus) Final() bool {
	return s.State != ProcessRunning && s.State != ProcessRestarting
}

// Back-off between the end of a process that was killed and its next start.
const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 5 * time.Second
	// backoffReset is how long a process must have lived for the back-off to begin anew.
	backoffReset = 10 * time.Second
	// busyTries is how often a process is started again because its port was taken: the one that listened there may be
	// about to end, as after a run that was killed.
	busyTries = 4
)

// portTaken reports whether a process ended because somebody else listens on its port.
func portTaken(state ProcessState, exit string) bool {
	return state == ProcessUnusable && strings.Contains(exit, syscall.EADDRINUSE.Error())
}

// processConfig says how to run one replica.
type processConfig struct {
	name string
	// program is the file to execute and argv its arguments with argv[0].
	program string
	argv    []string
	// logPath is the file to which its output is appended.
	logPath string
	log     *slog.Logger
}

// process runs one replica as an operating-system process, and starts it again when it is killed. One goroutine, run,
// lives from startProcess until the process has ended for good.
//
// The child cannot outlive this process, whatever kills it: its standard input is a pipe that the kernel closes, on
// which it stops by itself, and it is sent SIGKILL when the thread that started it ends (PR_SET_PDEATHSIG), which is why
// run keeps its thread for itself.
type process struct {
	processConfig
	stopping chan struct{} // closed by stop
	done     chan struct{} // closed by run when it ends

	mu     sync.Mutex
	status ProcessStatus
	os     *os.Process // nil while none is running
	asked  bool        // stopping is closed
}

// startProcess starts the replica and its supervision. An error means that not even the first start was possible.
func startProcess(c processConfig) (*process, error) {
	p := &process{processConfig: c, stopping: make(chan struct{}), done: make(chan struct{})}
	first := make(chan error, 1)
	go p.run(first)
	if err := <-first; err != nil {
		<-p.done
		return nil, err
	}
	return p, nil
}

// run starts the process again and again until it ends for good.
func (p *process) run(first chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	backoff, busy := backoffFirst, 0
	for {
		child, err := p.spawn()
		if first != nil {
			first <- err
			first = nil
		}
		if err != nil {
			p.endUnstarted(err)
			return
		}
		began := time.Now()
		state, exit := child.wait()
		if portTaken(state, exit) && busy < busyTries {
			busy++
			state = ProcessRestarting
		}
		if state != ProcessRestarting || p.isStopping() {
			p.end(p.final(state), exit)
			return
		}
		if time.Since(began) > backoffReset {
			backoff = backoffFirst
		}
		p.log.Warn("replica ended, starting it again", "node", p.name, "exit", exit, "backoff", backoff)
		p.end(ProcessRestarting, exit)
		select {
		case <-p.stopping:
			p.end(ProcessStopped, exit)
			return
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, backoffMost)
	}
}

// final is the state in which a process is left that ended in another one: whatever ends while it is being stopped was
// stopped, unless it had a reason of its own.
func (p *process) final(state ProcessState) ProcessState {
	if p.isStopping() && state != ProcessDiverged && state != ProcessFailed {
		return ProcessStopped
	}
	return state
}

// endUnstarted books that a process could not be started.
func (p *process) endUnstarted(err error) {
	if errors.Is(err, errStopping) {
		p.end(ProcessStopped, p.Status().Exit)
		return
	}
	p.log.Error("start replica", "node", p.name, "err", err)
	p.end(ProcessFailed, err.Error())
}

// child is one incarnation of a process.
type child struct {
	cmd      *exec.Cmd
	lifeline io.Closer // the writing end of its standard input
	output   *output
}

// spawn starts one incarnation and books it.
func (p *process) spawn() (*child, error) {
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("replica %s: %w", p.name, err)
	}
	stdin, lifeline, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("replica %s: %w", p.name, err), log.Close())
	}
	defer stdin.Close()
	c := &child{lifeline: lifeline, output: &output{log: log}}
	c.cmd = &exec.Cmd{
		Path: p.program, Args: p.argv, Stdin: stdin, Stdout: c.output, Stderr: c.output, WaitDelay: outputDelay,
		// Its own process group: a Ctrl-C on the terminal is for this process to handle, not for the replicas.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	if err := p.startUnlessStopping(c.cmd); err != nil {
		return nil, errors.Join(fmt.Errorf("replica %s: %w", p.name, err), lifeline.Close(), log.Close())
	}
	return c, nil
}

var errStopping = errors.New("it is being stopped")

// startUnlessStopping starts and books the process in one step, so that stop either prevents it or finds it.
func (p *process) startUnlessStopping(cmd *exec.Cmd) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked {
		return errStopping
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.os = cmd.Process
	p.status = ProcessStatus{State: ProcessRunning, PID: cmd.Process.Pid, Starts: p.status.Starts + 1, Exit: p.status.Exit}
	return nil
}

// wait waits for the end of the incarnation and says what should follow from it: ProcessRestarting means another start.
func (c *child) wait() (ProcessState, string) {
	c.cmd.Wait() // its error is in ProcessState
	c.lifeline.Close()
	words := lastWords(c.output.tail)
	c.output.log.Close()
	status := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return ProcessRestarting, fmt.Sprintf("killed by %v", status.Signal())
	}
	exit := fmt.Sprintf("exit code %d", status.ExitStatus())
	if words != "" && status.ExitStatus() != ExitStopped {
		exit = words
	}
	switch status.ExitStatus() {
	case ExitStopped:
		return ProcessRestarting, exit
	case ExitDiverged:
		return ProcessDiverged, exit
	case ExitUnusable:
		return ProcessUnusable, exit
	}
	return ProcessFailed, exit
}

// end books the end of an incarnation.
func (p *process) end(state ProcessState, exit string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.os = nil
	p.status.State, p.status.PID, p.status.Exit = state, 0, exit
}

func (p *process) isStopping() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// Status is the process now.
func (p *process) Status() ProcessStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// signal sends a signal to the running process; without one it does nothing.
func (p *process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.os == nil {
		return nil
	}
	if err := p.os.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %v to replica %s: %w", s, p.name, err)
	}
	return nil
}

// stop asks the process to end and keeps it from being started again. It does not wait: done closes when it has ended.
func (p *process) stop(s syscall.Signal) error {
	p.mu.Lock()
	if !p.asked {
		p.asked = true
		close(p.stopping)
	}
	p.mu.Unlock()
	return p.signal(s)
}

package real

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"lockstep/chaos/history"
)

// Commands to a replica's process, one a line of its standard input. The number names the fault, so that "end" finds it.
//
//	N fail OP MODE AFTER    an operation fails; MODE once or always, or dropped
//	N sync MODE AFTER       a sync fails: what was written is on disk, or with dropped it is not
//	N slow MICROSECONDS     each operation takes longer
//	N hang                  operations do not return
//	N full BYTES            the log takes no more than so many bytes, and no file becomes larger than that makes the log's
//	N crash STEP AFTER      the process kills itself at a step
//	N transfer REPLICA      a leader hands its leadership to a replica, or to any one if none is named
//	N lie                   a planted bug: the next message that puts something is another one here
//	N end
const (
	opAppend   = "append"
	opTruncate = "truncate"
	opVote     = "vote"
	opRead     = "read"

	crashAppend  = "append"
	crashVote    = "vote"
	crashCompact = "compact"
	crashPublish = "publish"
	crashInstall = "install"
	crashRestore = "restore"
)

// storeFaults is what is wrong with a replica's disk, inside its process.
type storeFaults struct {
	dir  string
	emit func(history.Event)
	// transfer hands leadership over; the replica's process sets it when it has a node.
	transfer func(to string) error

	mu     sync.Mutex
	change *sync.Cond
	faults map[int]*storeFault
}

// storeFault is one command.
type storeFault struct {
	what, op, mode string
	after          int
	delay          time.Duration
	struck         uint64
}

func newStoreFaults(dir string, emit func(history.Event)) *storeFaults {
	f := &storeFaults{dir: dir, emit: emit, faults: map[int]*storeFault{}}
	f.change = sync.NewCond(&f.mu)
	return f
}

// listen obeys until the input ends.
func (f *storeFaults) listen(in io.Reader) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if err := f.obey(strings.Fields(lines.Text())); err != nil {
			fmt.Fprintf(os.Stderr, "command %q: %v\n", lines.Text(), err)
		}
	}
}

var errCommand = errors.New("not a command")

func (f *storeFaults) obey(words []string) error {
	if len(words) < 2 {
		return errCommand
	}
	id, err := strconv.Atoi(words[0])
	if err != nil {
		return errCommand
	}
	switch words[1] {
	case "end":
		f.end(id)
		return nil
	case "transfer":
		go f.handOver(id, strings.Join(words[2:], ""))
		return nil
	}
	fault, err := parseStoreFault(words[1:])
	if err != nil {
		return err
	}
	if fault.what == "full" {
		if err := f.limit(uint64(fault.after)); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[id] = fault
	return nil
}

// handOver hands leadership over and tells the parent if that worked. It ends when raft has answered, which an election timeout bounds.
func (f *storeFaults) handOver(id int, to string) {
	if err := f.transfer(to); err != nil {
		fmt.Fprintf(os.Stderr, "hand the leadership over: %v\n", err)
		return
	}
	f.emit(history.Event{Kind: history.Note, Fault: uint32(id), Text: struckNote})
}

func parseStoreFault(words []string) (*storeFault, error) {
	f := &storeFault{what: words[0]}
	var number *int
	micros := 0
	switch args := words[1:]; {
	case f.what == "fail" && len(args) == 3:
		f.op, f.mode, number = args[0], args[1], &f.after
	case f.what == "sync" && len(args) == 2:
		f.op, f.mode, number = opAppend, args[0], &f.after
	case f.what == "slow" && len(args) == 1:
		number = &micros
	case f.what == "full" && len(args) == 1:
		number = &f.after
	case f.what == "crash" && len(args) == 2:
		f.op, number = args[0], &f.after
	case (f.what == "hang" || f.what == "lie") && len(args) == 0:
		return f, nil
	default:
		return nil, errCommand
	}
	n, err := strconv.Atoi(words[len(words)-1])
	if err != nil || n < 0 {
		return nil, errCommand
	}
	*number = n
	f.delay = time.Duration(micros) * time.Microsecond
	return f, nil
}

// end undoes a fault and tells how often it had an effect.
func (f *storeFaults) end(id int) {
	f.mu.Lock()
	fault := f.faults[id]
	delete(f.faults, id)
	f.change.Broadcast()
	f.mu.Unlock()
	if fault == nil {
		return
	}
	if fault.what == "full" {
		_ = setFileLimit(^uint64(0)) // what was allowed before is allowed again
	}
}

// strike counts an effect and tells the parent at once: this process may not live long.
func (f *storeFaults) strike(id int, fault *storeFault) {
	fault.struck++
	if fault.struck == 1 || fault.struck%64 == 0 {
		f.emit(history.Event{Kind: history.Note, Fault: uint32(id), Text: struckNote})
	}
}

// struckNote is the text of a note that a fault has had an effect.
const struckNote = "struck"

// before is called before a disk operation.
func (f *storeFaults) before(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, fault := range f.faults {
		switch {
		case fault.what == "slow":
			f.strike(id, fault)
			f.mu.Unlock()
			time.Sleep(fault.delay)
			f.mu.Lock()
		case fault.what == "hang":
			f.strike(id, fault)
			for f.faults[id] != nil {
				f.change.Wait()
			}
		case fault.what == "fail" && fault.op == op && fault.due():
			f.strike(id, fault)
			return fmt.Errorf("%s: %w", op, syscall.EIO)
		case fault.what == "sync" && fault.op == op && fault.mode == "dropped" && fault.due():
			f.strike(id, fault)
			return fmt.Errorf("sync: %w", syscall.EIO)
		}
	}
	return nil
}

// after is called after a disk operation that went well.
func (f *storeFaults) after(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, fault := range f.faults {
		if fault.what == "sync" && fault.op == op && fault.mode != "dropped" && fault.due() {
			f.strike(id, fault)
			return fmt.Errorf("sync: %w", syscall.EIO)
		}
	}
	return nil
}

// due counts an operation and reports whether the fault strikes it.
func (s *storeFault) due() bool {
	if s.after > 0 {
		s.after--
		return false
	}
	return s.mode == "always" || s.struck == 0
}

// room is asked before so many bytes go to the log. The log's file has free pages inside, so that its size alone would not show for
// long that nothing may be added to it.
func (f *storeFaults) room(bytes int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, fault := range f.faults {
		if fault.what != "full" {
			continue
		}
		if fault.after -= bytes; fault.after < 0 {
			f.strike(id, fault)
			return fmt.Errorf("append %d bytes: %w", bytes, syscall.ENOSPC)
		}
	}
	return nil
}

// full turns the error of a file that may not grow into that of a full disk.
func (f *storeFaults) full(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, fault := range f.faults {
		if fault.what == "full" && errors.Is(err, syscall.EFBIG) {
			f.strike(id, fault)
			return fmt.Errorf("%w (%w)", syscall.ENOSPC, err)
		}
	}
	return err
}

// limit keeps files from growing: the log's by so many bytes, others beyond the same size.
func (f *storeFaults) limit(bytes uint64) error {
	info, err := os.Stat(filepath.Join(f.dir, "raft.db"))
	if err != nil {
		return err
	}
	return setFileLimit(uint64(info.Size()) + bytes)
}

func setFileLimit(bytes uint64) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		return err
	}
	l.Cur = min(bytes, l.Max)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l)
}

// reached kills the process if a fault waits for this step.
func (f *storeFaults) reached(step string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, fault := range f.faults {
		if fault.what == "crash" && fault.op == step && fault.due() {
			f.strike(id, fault)
			_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
			select {} // the signal ends every thread; this one must not go a step further
		}
	}
}

// wants reports whether there is such a fault, and done takes it away.
func (f *storeFaults) wants(what string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range f.faults {
		if fault.what == what {
			return true
		}
	}
	return false
}

func (f *storeFaults) done(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, fault := range f.faults {
		if fault.what == what {
			delete(f.faults, id)
		}
	}
}

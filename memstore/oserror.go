package memstore

import (
	"errors"
	"fmt"
	"syscall"
)

// MapError says that the kernel refused a mapping operation. The replica must stop: the memory's state is unknown to it.
type MapError struct {
	Op     string        // the call, such as "mprotect"
	Addr   uintptr       // start of the range
	Length uintptr       // bytes
	Errno  syscall.Errno // what the kernel said
}

// Error names the call, the range, the errno and what to do about it.
func (e *MapError) Error() string {
	return fmt.Sprintf("%s %#x+%#x: %v (errno %d); %s", e.Op, e.Addr, e.Length, e.Errno, int(e.Errno), e.remedy())
}

// Unwrap gives the errno, for errors.Is.
func (e *MapError) Unwrap() error { return e.Errno }

func (e *MapError) remedy() string {
	switch e.Errno {
	case syscall.ENOMEM:
		return "the process has too many mappings or no memory: raise vm.max_map_count, use a tracker that needs no " +
			"mapping per page (adaptive, uffd, cow), or free memory"
	case syscall.EPERM, syscall.EACCES:
		return "the kernel or a seccomp filter forbids the call: allow it or choose another tracker (auto says which work)"
	case syscall.EINVAL, syscall.ENOSYS, syscall.ENOTTY:
		return "the kernel lacks the feature: choose another tracker (auto says which work)"
	case syscall.EAGAIN:
		return "locked memory is limited: raise RLIMIT_MEMLOCK"
	}
	return "the state of the memory is unknown: restart the replica from its checkpoint"
}

func mapError(op string, addr, length uintptr, err error) error {
	var no syscall.Errno
	if !errors.As(err, &no) {
		return fmt.Errorf("%s %#x+%#x: %w", op, addr, length, err)
	}
	return &MapError{Op: op, Addr: addr, Length: length, Errno: no}
}

var (
	// ErrGrown is what Rollback answers when the memory grew since Begin. A linear memory cannot shrink: the caller
	// frees the instance, makes a new one and attaches the old version to it. Nothing was put back.
	ErrGrown = errors.New("the memory grew since the message began: rebuild the instance")
	// ErrClosed is what a closed Store answers.
	ErrClosed = errors.New("the page store is closed")
	// ErrStoreFull means that the Store's reserved address range is used up; see StoreConfig.ReserveBytes.
	ErrStoreFull = errors.New("the page store's reserved range is full")
)

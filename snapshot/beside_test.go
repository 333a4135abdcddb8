package snapshot

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"lockstep/pagetrie"
)

// TestBesideIsNice: what is done beside rounds has a low priority, and nobody else gets it.
func TestBesideIsNice(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	nice := func() int {
		n, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // 20 minus niceness
		if err != nil {
			t.Fatal(err)
		}
		return 20 - n
	}
	before, reason := nice(), errors.New("reason")
	inside, err := beside(func() (int, error) { return nice(), reason })
	if inside < besideNice || !errors.Is(err, reason) {
		t.Errorf("niceness %d, want %d at least; error %v", inside, besideNice, err)
	}
	if after := nice(); after != before {
		t.Errorf("niceness of the caller is %d, was %d", after, before)
	}
}

// TestBesideReadsDamage: what can't be read beside rounds is an error and does not end the process.
func TestBesideReadsDamage(t *testing.T) {
	reason := errors.New("a damaged page")
	if _, err := beside(func() (int, error) { panic(&pagetrie.Unreadable{Err: reason}) }); !errors.Is(err, reason) {
		t.Errorf("error %v", err)
	}
}

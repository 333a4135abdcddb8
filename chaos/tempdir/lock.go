//go:build unix

package tempdir

import (
	"os"
	"syscall"
)

// lockFile fails if another process holds the lock.
func lockFile(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

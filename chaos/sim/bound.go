//go:build linux

package sim

import "syscall"

// bound gives a child a process group of its own, since a Ctrl-C on the terminal is for this process to handle, and has the system kill it
// when the thread ends that started it, which is kept until the child has ended: it does not outlive this process.
func bound() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

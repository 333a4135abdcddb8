//go:build !linux

package sim

import "syscall"

// bound knows no way to end children with this process here.
func bound() *syscall.SysProcAttr { return nil }

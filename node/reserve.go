//go:build unix

package node

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// Reservation keeps a free TCP port of this machine for a node that starts later, in this process or another one. Nobody
// listens on it, so connections are refused as by a node that is down; the system gives it to nobody who asks for any port;
// and a node can listen on it, stop and listen again as long as the reservation is held.
type Reservation struct {
	// Addr is the port's address, host:port.
	Addr   string
	socket *os.File
}

// Reserve takes a free port of 127.0.0.1. It binds a socket that never listens, with SO_REUSEADDR: see socket(7) and
// inet_csk_get_port in Linux.
func Reserve() (*Reservation, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("reserve a port: %w", os.NewSyscallError("socket", err))
	}
	socket := os.NewFile(uintptr(fd), "reserved port")
	addr, err := bindAnyPort(fd)
	if err != nil {
		_ = socket.Close() // nothing was written to it
		return nil, fmt.Errorf("reserve a port: %w", err)
	}
	return &Reservation{Addr: addr, socket: socket}, nil
}

func bindAnyPort(fd int) (string, error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return "", os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", os.NewSyscallError("bind", err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		return "", os.NewSyscallError("getsockname", err)
	}
	v4, ok := bound.(*syscall.SockaddrInet4)
	if !ok {
		return "", fmt.Errorf("socket has a %T as its name", bound)
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(v4.Port)), nil
}

// Close gives the port back. A node that listens on it keeps it.
func (r *Reservation) Close() error { return r.socket.Close() }

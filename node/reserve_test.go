package node

import (
	"net"
	"testing"
)

func TestReservedPort(t *testing.T) {
	r, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 2 { // listened on, given up, listened on again
		if conn, err := net.Dial("tcp", r.Addr); err == nil {
			_ = conn.Close()
			t.Error("a reserved port takes connections")
		}
		l, err := net.Listen("tcp", r.Addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

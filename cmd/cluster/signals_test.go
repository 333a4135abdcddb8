package main

import (
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// A connection that the other side has broken raises SIGPIPE. It must not end a run.
func TestABrokenConnectionIsNoInterrupt(t *testing.T) {
	stop, ctx, forget := interrupts(t.Context(), func() { t.Error("told of an interrupt") })
	defer forget()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	for err == nil { // the first writes may still be buffered; then the connection is found broken
		_, err = client.Write([]byte("x"))
	}
	if _, err := client.Write([]byte("x")); err == nil {
		t.Fatal("writing to a broken connection succeeds")
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGPIPE); err != nil { // the same signal, for certain
		t.Fatal(err)
	}
	select {
	case <-stop:
		t.Error("a broken connection counts as an interrupt")
	case <-ctx.Done():
		t.Error("a broken connection ends everything")
	case <-time.After(100 * time.Millisecond):
	}
}

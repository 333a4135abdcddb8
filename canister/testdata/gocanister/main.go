// A canister in ordinary Go: a map, garbage for the collector, time, random
// numbers, output, and a panic on request.
package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"time"
	"unsafe"
)

//go:wasmimport ic0 msg_arg_data_size
func argSize() uint32

//go:wasmimport ic0 msg_arg_data_copy
func argCopy(dst unsafe.Pointer, offset, size uint32)

//go:wasmimport ic0 msg_reply_data_append
func replyAppend(src unsafe.Pointer, size uint32)

//go:wasmimport ic0 msg_reply
func msgReply()

func arg() string {
	b := make([]byte, argSize()+1)
	argCopy(unsafe.Pointer(&b[0]), 0, uint32(len(b)-1))
	return string(b[:len(b)-1])
}

func reply(format string, args ...any) {
	b := append([]byte(fmt.Sprintf(format, args...)), 0)
	replyAppend(unsafe.Pointer(&b[0]), uint32(len(b)-1))
	msgReply()
}

var (
	words   = map[string]int{}
	started = time.Now().UnixNano()
	garbage [][]byte
)

//go:wasmexport canister_init
func initialize() { words["init:"+arg()]++ }

//go:wasmexport canister_update_add
func add() {
	for _, w := range strings.Fields(arg()) {
		words[w]++
	}
	garbage = append(garbage[max(0, len(garbage)-40):], make([]byte, 20_000))
	reply("%d", len(words))
}

//go:wasmexport canister_update_random
func random() {
	b := make([]byte, 8)
	rand.Read(b)
	words[fmt.Sprintf("%x", b)]++
	fmt.Println("random", len(b))
	reply("%x", b)
}

//go:wasmexport canister_update_parallel
func parallel() {
	c := make(chan int)
	for i := range 10 {
		go func() { c <- i * i }()
	}
	sum := 0
	for range 10 {
		sum += <-c
	}
	runtime.GC()
	words["sum"] += sum
	reply("%d", sum)
}

//go:wasmexport canister_update_panic
func panics() {
	words["lost"]++
	var m map[string]int
	m["x"] = 1
}

//go:wasmexport canister_update_recurse
func recurse() { reply("%d", depth(1)) }

func depth(n int) int { return depth(n+1) + 1 }

//go:wasmexport canister_update_sleep
func sleep() { time.Sleep(time.Second); reply("rested") }

//go:wasmexport canister_query_list
func list() {
	words["query"]++
	keys := make([]string, 0, len(words))
	for k, n := range words {
		keys = append(keys, fmt.Sprintf("%s=%d", k, n))
	}
	sort.Strings(keys)
	_, err := os.ReadFile("/etc/passwd")
	reply("%s at %d (%v; %d arguments)", strings.Join(keys, " "), time.Now().UnixNano()-started, err, len(os.Args))
}

func main() {}

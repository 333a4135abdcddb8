//go:build wasip1

// Notes is a canister in ordinary Go: a notebook with tags and a word index, whose heap, maps and garbage collector live in
// the replicated memory. Build it with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o notes.wasm ./testdata/canister/notes
//
// Methods (arguments and replies are JSON unless said otherwise):
//
//	add    update  {"title":"...","text":"...","tags":["..."]}  replies the note with its id and time
//	edit   update  {"id":1,"text":"..."}                        fields left out stay; replies the note
//	remove update  the id in decimal                            replies the note removed
//	churn  update  a number in decimal                          makes that much garbage, in KiB; replies a checksum as text
//	get    query   the id in decimal                            replies the note
//	tagged query   a tag, or nothing for all                    replies the notes, oldest first
//	find   query   words                                        replies the notes that have all of them
//	stats  query                                                replies counts
//
// Whatever cannot be done is rejected with the reason.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// book is the whole state. It is a plain Go value: what keeps it between messages is that the memory does.
var book = NewBook()

// main is never called: a reactor module is initialised by the Go runtime's _initialize alone.
func main() {}

//go:wasmexport canister_init
func initialise() { debugPrint("notes: ready") }

//go:wasmexport canister_update_add
func add() {
	reply(decoded(func(d Draft) (Note, error) { return book.Add(d, now()) }))
}

//go:wasmexport canister_update_edit
func edit() {
	reply(decoded(book.Edit))
}

//go:wasmexport canister_update_remove
func remove() {
	reply(numbered(book.Remove))
}

//go:wasmexport canister_query_get
func get() {
	reply(numbered(book.Get))
}

//go:wasmexport canister_query_tagged
func tagged() {
	reply(book.Tagged(string(argument())), nil)
}

//go:wasmexport canister_query_find
func find() {
	reply(book.Find(string(argument())), nil)
}

//go:wasmexport canister_query_stats
func stats() {
	reply(book.Stats(), nil)
}

// churn allocates short-lived strings so that the collector has something to do.
//
//go:wasmexport canister_update_churn
func churn() {
	kib, err := strconv.Atoi(string(argument()))
	if err != nil || kib < 0 || kib > 1<<16 {
		msgReject("churn wants a number of KiB, at most 65536")
		return
	}
	sum, kept := uint32(0), []string(nil)
	for i := range kib {
		kept = append(kept, strings.Repeat(string(rune('a'+i%26)), 1024))
		if len(kept) == 100 || i == kib-1 {
			sum = crc32.Update(sum, crc32.IEEETable, []byte(strings.Join(kept, "")))
			kept = nil
		}
	}
	msgReplyDataAppend(fmt.Sprintf("%08x", sum))
	msgReply()
}

// decoded runs an operation on the argument read as JSON.
func decoded[In, Out any](operation func(In) (Out, error)) (Out, error) {
	var in In
	if err := json.Unmarshal(argument(), &in); err != nil {
		var none Out
		return none, fmt.Errorf("argument: %w", err)
	}
	return operation(in)
}

// numbered runs an operation on the argument read as a note's id.
func numbered(operation func(int) (Note, error)) (Note, error) {
	id, err := strconv.Atoi(string(argument()))
	if err != nil {
		return Note{}, errors.New("argument: wanted the id of a note in decimal")
	}
	return operation(id)
}

// reply answers with the value as JSON, or rejects with the error.
func reply[T any](value T, err error) {
	if err != nil {
		msgReject(err.Error())
		return
	}
	text, err := json.Marshal(value)
	if err != nil {
		trap(err.Error()) // the types above always marshal
	}
	msgReplyDataAppend(string(text))
	msgReply()
}

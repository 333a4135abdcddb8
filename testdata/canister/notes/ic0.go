//go:build wasip1

package main

// The System API as Go sees it. A string or *byte parameter becomes the address (and, for a string, the length) that the host
// expects, so no unsafe code is needed.

//go:wasmimport ic0 msg_arg_data_size
func msgArgDataSize() uint32

//go:wasmimport ic0 msg_arg_data_copy
//go:noescape
func msgArgDataCopy(to *byte, offset, size uint32)

//go:wasmimport ic0 msg_reply_data_append
//go:noescape
func msgReplyDataAppend(data string)

//go:wasmimport ic0 msg_reply
func msgReply()

//go:wasmimport ic0 msg_reject
//go:noescape
func msgReject(text string)

//go:wasmimport ic0 trap
//go:noescape
func trap(text string)

//go:wasmimport ic0 debug_print
//go:noescape
func debugPrint(text string)

//go:wasmimport ic0 time
func now() int64

// argument returns the message's argument in a slice of its own.
func argument() []byte {
	size := msgArgDataSize()
	if size == 0 {
		return nil
	}
	data := make([]byte, size)
	msgArgDataCopy(&data[0], 0, size)
	return data
}

package fsm

func candidBlob(b []byte) []byte {
	out := append([]byte("DIDL\x01\x6d\x7b\x01\x00"), byte(len(b)))
	return append(out, b...)
}

func (w *roundWork) manageStatus(q *queued) *queued {
	return rejection(q.Origin.Call, codeDestination, "todo")
}

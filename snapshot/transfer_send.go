package snapshot

import (
	"io"

	"github.com/hashicorp/raft"
)

// ReaderBehind finds the reader that a Store's Open gave, also if others have wrapped it as raft does. Raft gives it to a
// transport to send it.
func ReaderBehind(r io.Reader) (*Reader, error) {
	for {
		switch v := r.(type) {
		case *Reader:
			return v, nil
		case raft.ReadCloserWrapper:
			r = v.WrappedReadCloser()
		default:
			return nil, ErrForeignReader
		}
	}
}

// MaxHave is the most that a peer may say about what it has: enough to name twice as many pages as the checkpoint has.
func (r *Reader) MaxHave() int64 {
	n := uint64(64 << 10)
	for _, m := range r.checkpoint.Memories {
		n += 2 * (m.Len()*(tagBytes+2) + 2 + MaxNameBytes)
	}
	return int64(n)
}

package snapshot

import "sync"

// blocks reads a part of a file piece by piece, as it is asked for, and keeps what it has read: what was verified is what is
// used afterwards. Several goroutines may use it.
type blocks struct {
	file        File
	path        string
	off, length int64

	mu   sync.Mutex
	have map[int64][]byte // by number
}

// blockBytes is the unit of reading.
const blockBytes = 16 << 10

func newBlocks(file File, path string, off, length int64) *blocks {
	return &blocks{file: file, path: path, off: off, length: length, have: map[int64][]byte{}}
}

// read copies len(to) bytes from an offset within the part.
func (b *blocks) read(to []byte, off int64) error {
	for len(to) > 0 {
		block, err := b.block(off / blockBytes)
		if err != nil {
			return err
		}
		n := copy(to, block[off%blockBytes:])
		to, off = to[n:], off+int64(n)
	}
	return nil
}

func (b *blocks) block(i int64) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if block := b.have[i]; block != nil {
		return block, nil
	}
	block := make([]byte, min(b.length-i*blockBytes, blockBytes))
	if err := readFull(b.file, b.path, block, b.off+i*blockBytes); err != nil {
		return nil, err
	}
	b.have[i] = block
	return block, nil
}

package snapshot

import "fmt"

// pageCopy copies pages of a memory's layers into a new page file, a batch at a time: pages that lie apart are read into one buffer,
// verified in pairs and written in one piece. It works on one goroutine: a merge is in no hurry, and rounds want the other
// processors.
type pageCopy struct {
	from  *MemoryFile
	to    *pageFileWriter
	check pageCheck
	buf   []byte
	batch []PageRef // where the pages in buf come from
}

// newPageCopy copies so many stored pages in all.
func newPageCopy(from *MemoryFile, to *pageFileWriter, h Hashing, pages uint64) *pageCopy {
	return &pageCopy{from: from, to: to, buf: make([]byte, min(pages, batchPages)*PageSize),
		check: pageCheck{hash: h.Page, pair: h.Pair, workers: 1, rest: new(rest)}}
}

// extent adds the pages of an extent. They are verified and written when the batch is full, or by flush.
func (c *pageCopy) extent(e extent) error {
	for i := uint64(0); e.zero && i < e.count; i++ {
		if err := c.to.addZero(e.first + i); err != nil {
			return err
		}
	}
	layer := c.from.Layers[e.layer]
	for at := uint64(0); !e.zero && at < e.count; {
		n := min(e.count-at, uint64(batchPages-len(c.batch)))
		b := c.buf[len(c.batch)*PageSize:][:n*PageSize]
		if err := readFull(layer.file, layer.path, b, layer.offset(e.position+at)); err != nil {
			return err
		}
		for i := range n {
			position := e.position + at + i
			if err := c.to.put(e.first+at+i, Page{Hash: layer.Hash(position), Bytes: b[i*PageSize : (i+1)*PageSize]}); err != nil {
				return err
			}
			c.batch = append(c.batch, PageRef{e.layer, position})
		}
		at += n
		if len(c.batch) == batchPages {
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush verifies the batch and writes it.
func (c *pageCopy) flush() error {
	n := uint64(len(c.batch))
	named := c.to.index.hashes
	c.check.index = &pageIndex{hashes: named[uint64(len(named))-n*hashBytes:], pages: n}
	if bad, fault := c.check.run(0, c.buf[:n*PageSize]); fault != "" {
		at := c.batch[bad]
		layer := c.from.Layers[at.Layer]
		return &Damage{File: layer.path, Offset: layer.offset(at.Position), Fault: fmt.Sprintf("page %d %s", layer.PageIndex(at.Position), fault)}
	}
	c.batch = c.batch[:0]
	return c.to.flush()
}

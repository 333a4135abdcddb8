package snapshot

import "crypto/sha256"

// Prove verifies every byte of a layer, in pieces and without keeping any of it, as does nothing else that is called beside
// rounds. It ends early, without an error, when stop says so. A checkpoint that it finds damaged is set aside.
func (m *MemoryFile) Prove(l *PageFile, h Hashing, stop func() bool) error {
	return m.in.blamed(l.prove(h, stop))
}

// ProveTrees verifies every byte of the tree files, which are small: 48 bytes for each 4 MiB. A checkpoint that it finds damaged is
// set aside.
func (c *Checkpoint) ProveTrees() error { return c.blamed(c.proveTrees()) }

func (c *Checkpoint) proveTrees() error {
	proven := map[TreeFile]bool{}
	for _, m := range c.Memories {
		for _, l := range m.Layers {
			if t := l.Entry.Tree.File; !proven[t] {
				proven[t] = true
				if err := t.verify(l.tree.file, l.tree.path); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (p *PageFile) prove(h Hashing, stop func() bool) error {
	start := int64(p.Entry.Pages * PageSize)
	hashes := int64(p.Entry.Pages * hashBytes)
	ranges := int64(p.Entry.indexBytes()) - footerBytes - hashes
	digest := sha256.New()
	digest.Write([]byte(digestContext))
	add := func(off, n int64) ([]byte, error) {
		b := make([]byte, n)
		err := readFull(p.file, p.path, b, off)
		digest.Write(b)
		return b, err
	}
	if _, err := add(start, ranges); err != nil {
		return err
	}
	pages := make([]byte, min(batchPages, p.Len())*PageSize)
	check := pageCheck{hash: h.Page, pair: h.Pair, workers: 1, rest: new(rest)}
	for at := uint64(0); at < p.Len() && !stop(); at += batchPages {
		n := min(p.Len()-at, batchPages)
		wanted, err := add(start+ranges+int64(at)*hashBytes, int64(n)*hashBytes)
		if err != nil {
			return err
		}
		check.index = &pageIndex{hashes: wanted, pages: n}
		if err := readFull(p.file, p.path, pages[:n*PageSize], p.offset(at)); err != nil {
			return err
		}
		if bad, fault := check.run(0, pages[:n*PageSize]); fault != "" {
			return &Damage{File: p.path, Offset: p.offset(at + bad), Fault: fault}
		}
	}
	if stop() {
		return nil
	}
	if _, err := add(start+ranges+hashes, footerBytes); err != nil {
		return err
	}
	if Digest(digest.Sum(nil)) != p.Entry.Digest {
		return &Damage{File: p.path, Offset: start, Fault: "SHA-256 of the page index is not the manifest's"}
	}
	return nil
}

package bench

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"lockstep/figure"
	"lockstep/snapshot"
)

// transfer counts the bytes of a checkpoint for a follower that misses k pages, and for one that has nothing.
func (b *run) transfer() error {
	const n = 16384 // 64 MiB
	b.config.Progress("bytes sent to followers")
	leader, _, err := openStore(b.dir, "leader", nil)
	if err != nil {
		return err
	}
	follower, _, err := openStore(b.dir, "follower", nil)
	if err != nil {
		return err
	}
	wiped, _, err := openStore(b.dir, "wiped", nil)
	if err != nil {
		return err
	}
	m := newPlain(n, 4)
	if _, err := m.write(follower); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(4, 4))
	missing := 0
	for _, k := range []int{1, 100, 3000} {
		m.since, missing = [32]byte{}, missing+k
		m.touch(rng, k)
		id, err := m.write(leader)
		if err != nil {
			return err
		}
		down, up, pages, err := sent(leader, id, follower)
		if err != nil {
			return err
		}
		limit := float64(pages)*snapshot.PageSize*1.1 + 256<<10
		b.figure(figure.Figure{Work: fmt.Sprintf("sent to a follower that misses %d of %d pages", pages, n), Goal: fmt.Sprintf("%.0f KiB", limit/1024),
			Measured: fmt.Sprintf("%d KiB, and %d KiB to say what it has", down/1024, up/1024), Met: float64(down) <= limit && int(pages) <= missing,
			Values: map[string]float64{"bytes": float64(down), "bytes asked": float64(up)}})
		if down, up, pages, err = sent(leader, id, wiped); err != nil {
			return err
		}
		if k < 3000 {
			continue
		}
		limit = n*snapshot.PageSize*1.02 + 256<<10
		b.figure(figure.Figure{Work: fmt.Sprintf("sent to a wiped follower, %d pages", pages), Goal: fmt.Sprintf("%.0f KiB", limit/1024),
			Measured: fmt.Sprintf("%d KiB, and %d bytes to say what it has", down/1024, up), Met: float64(down) <= limit, Values: map[string]float64{"bytes": float64(down)}})
	}
	return nil
}

// sent counts the two directions of a transfer.
func sent(leader *snapshot.Store, checkpoint string, to *snapshot.Store) (down, up, pages uint64, err error) {
	_, stream, err := leader.Open(checkpoint)
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	reader, err := snapshot.ReaderBehind(stream)
	if err != nil {
		return 0, 0, 0, err
	}
	t, err := to.BeginTransfer()
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	had, err := t.Have(reader.MaxHave())
	if err != nil {
		return 0, 0, 0, err
	}
	asked := had.Encode()
	have, err := snapshot.DecodeHave(asked)
	if err != nil {
		return 0, 0, 0, err
	}
	r, err := reader.WriteDelta(io.Discard, have, nil)
	return r.Bytes, uint64(len(asked)), r.Pages, err
}

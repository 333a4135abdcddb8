package replay

import (
	"fmt"
	"testing"

	"lockstep/canister"
	"lockstep/fsm"
)

// BenchmarkLocalise finds the bytes in which two states of a size differ: a page of a canister's, by the tries of two checkpoints.
func BenchmarkLocalise(b *testing.B) {
	for _, mib := range []int{64, 1024} {
		b.Run(fmt.Sprintf("state=%dMiB", mib), func(b *testing.B) {
			engine, err := canister.NewEngine(canister.EngineConfig{})
			if err != nil {
				b.Fatal(err)
			}
			defer engine.Close()
			m, err := fsm.New(fsm.Config{Engine: engine})
			if err != nil {
				b.Fatal(err)
			}
			defer m.Close()
			index := uint64(0)
			round := func(messages ...fsm.Message) {
				index++
				r, err := m.ApplyRound(index, &fsm.Round{Time: int64(index), Messages: messages})
				if err != nil || r.Results[0].Status != fsm.StatusReplied {
					b.Fatal(r.Results[0].Text, err)
				}
			}
			call := func(method, arg string) fsm.Message {
				return fsm.Message{Kind: fsm.KindUpdate, Canister: "memory", Method: method, Arg: []byte(arg)}
			}
			pages := mib << 8
			round(fsm.Message{Kind: fsm.KindInstall, Canister: "memory", Module: module(b, "memory")})
			for at := 0; at < pages; at += 1 << 14 {
				round(call("sequential", fmt.Sprintf("area=%d at=%d pages=%d bytes=64 seed=%d", pages, at, 1<<14, at)))
			}
			folders := [2]string{}
			for i := range folders {
				if folders[i], err = WriteCheckpoint(m, b.TempDir(), index); err != nil {
					b.Fatal(err)
				}
				round(call("sequential", fmt.Sprintf("area=%d at=%d pages=1 bytes=3 seed=99", pages, pages/3)))
			}
			for b.Loop() {
				d, err := CompareDirs(folders[0], folders[1], pagesShown)
				if err != nil || len(d.Canisters) != 1 || d.Canisters[0].Pages != 2 || len(d.Canisters[0].Shown) != 2 {
					b.Fatalf("%+v, %v", d, err)
				}
			}
		})
	}
}

package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
)

// FuzzManifest: a manifest that decodes is the only encoding of what it says.
func FuzzManifest(f *testing.F) {
	s := openTestStore(f, Config{})
	for i, m := range []*model{newModel(), smallModel()} {
		c, err := s.OpenCheckpoint(write(f, s, uint64(i+1), m))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(c.Manifest.encode(), true)
		c.Close()
	}
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if sign && len(b) > 64 { // let the fuzzer get past length and checksum
			b = bytes.Clone(b)
			b[16], b[17], b[18], b[19] = byte(len(b)), byte(len(b)>>8), byte(len(b)>>16), 0
			sum := manifestSum(b[:len(b)-32])
			copy(b[len(b)-32:], sum[:])
		}
		m, fault := decodeManifest(b)
		if fault != nil {
			if fault.offset < 0 || fault.offset > int64(len(b)) {
				t.Errorf("fault at offset %d of %d", fault.offset, len(b))
			}
			return
		}
		if !bytes.Equal(m.encode(), b) {
			t.Error("two encodings of one manifest")
		}
	})
}

// FuzzPageIndex: as FuzzManifest, for page indexes.
func FuzzPageIndex(f *testing.F) {
	for seed := range uint64(3) {
		f.Add(randomIndex(rand.New(rand.NewPCG(seed, 0)), 20).encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, fault := decodePageIndex(b)
		if fault != nil {
			if fault.offset < 0 || fault.offset > int64(len(b)) {
				t.Errorf("fault at offset %d of %d", fault.offset, len(b))
			}
			return
		}
		if !bytes.Equal(x.encode(), b) {
			t.Error("two encodings of one index")
		}
		for position := range min(x.pages, 1000) {
			if x.page(position) >= MaxMemoryPages {
				t.Errorf("position %d is page %d", position, x.page(position))
			}
		}
	})
}

// FuzzStream: whatever comes from a peer, a sink publishes a sound checkpoint or nothing.
func FuzzStream(f *testing.F) {
	m := newModel()
	m.memory("a", 16).set(3, 1)
	f.Add(streamOf(f, 8, m), false)
	f.Add(streamOf(f, 8, newModel()), true)
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if n := len(b); sign && n > streamHeadBytes+200 && int(b[12])|int(b[13])<<8 < n-streamHeadBytes && b[13] < 8 && b[14]|b[15] == 0 && int(b[12])|int(b[13])<<8 > 200 {
			b = resign(b, func([]byte) {})
		}
		s := openTestStore(t, Config{FS: newMemFS(), Dir: "/store", MaxBytes: 1 << 20})
		k := createSink(t, s, 8)
		err := install(k, b, 512)
		metas, _ := s.List()
		names, _ := s.fs.List("/store")
		if err != nil {
			var fault *StreamFault
			if len(metas) != 0 || len(names) != 0 || len(b) > 0 && !errors.As(err, &fault) {
				t.Errorf("%v left %v", err, names)
			}
			return
		}
		if err := verifyFolder(s.fs, "/store/"+k.ID()); err != nil {
			t.Error(err)
		}
	})
}

// TestLayersThatMakeNoMemory: what each index allows and the memory does not.
func TestLayersThatMakeNoMemory(t *testing.T) {
	index := func(stored, zero uint64) *PageFile {
		x, h := &pageIndex{}, testHashing().Page(nil)
		if err := x.add(stored, &h); err != nil {
			t.Fatal(err)
		}
		if err := x.add(zero, nil); err != nil {
			t.Fatal(err)
		}
		return &PageFile{index: x}
	}
	plain := &PageFile{index: randomIndex(rand.New(rand.NewPCG(1, 1)), 0)}
	if err := (&MemoryFile{Size: 16, Layers: []*PageFile{index(1, 2)}}).arrange(); err == nil {
		t.Error("a base that declares a page zero is accepted")
	}
	if err := (&MemoryFile{Size: 16, Layers: []*PageFile{plain, index(16, 17)}}).arrange(); err == nil {
		t.Error("a page beyond the size is accepted")
	}
	if err := (&MemoryFile{Size: 16, Layers: []*PageFile{plain, index(15, 17)}}).arrange(); err != nil {
		t.Error(err)
	}
}

// FuzzOverlay: layers laid over each other equal a plain map.
func FuzzOverlay(f *testing.F) {
	f.Add(uint64(1), uint8(3))
	f.Add(uint64(77), uint8(9))
	f.Fuzz(func(t *testing.T, seed uint64, n uint8) { checkOverlay(t, seed, int(n%10)) })
}

func TestOverlay(t *testing.T) {
	for seed := range uint64(500) {
		checkOverlay(t, seed, int(seed%8))
	}
}

func checkOverlay(t *testing.T, seed uint64, n int) {
	rng := rand.New(rand.NewPCG(seed, 9))
	var layers []*pageIndex
	want := map[uint64]PageRef{}
	for i := range n {
		x := randomIndex(rng, 60)
		layers = append(layers, x)
		for _, r := range x.ranges {
			for j := range r.count {
				delete(want, r.first+j)
				if !r.zero {
					want[r.first+j] = PageRef{i, r.position + j}
				}
			}
		}
	}
	m := &MemoryFile{extents: stored(overlay(layers, 0))}
	for _, x := range layers {
		m.Layers = append(m.Layers, &PageFile{index: x})
	}
	last, count := int64(-1), 0
	for page, ref := range m.Pages() {
		if int64(page) <= last || want[page] != ref {
			t.Fatalf("seed %d: page %d after %d is %v, want %v", seed, page, last, ref, want[page])
		}
		last = int64(page)
		count++
	}
	if count != len(want) || m.Len() != uint64(count) {
		t.Fatalf("seed %d: %d pages, Len %d, want %d", seed, count, m.Len(), len(want))
	}
	flat := m.flatIndex()
	if n := flatBytes(m.extents); count > 0 && n != flat.pages*PageSize+uint64(len(flat.encode())) {
		t.Fatalf("seed %d: flatBytes says %d", seed, n)
	}
	if _, fault := decodePageIndex(flat.encode()); fault != nil {
		t.Fatalf("seed %d: flat index: %v", seed, fault)
	}
}

// randomIndex names some of the pages below a bound.
func randomIndex(rng *rand.Rand, bound uint64) *pageIndex {
	x := &pageIndex{}
	for page := uint64(0); page < bound; page++ {
		h := testHashing().Page([]byte{byte(page), byte(rng.Uint32())})
		switch rng.IntN(7) {
		case 0:
			_ = x.add(page, nil)
		case 1, 2, 3:
			_ = x.add(page, &h)
		case 4:
			page += rng.Uint64N(9)
		}
	}
	return x
}

// TestManifestFaults reaches checks of the manifest's decoder behind a right length and checksum.
func TestManifestFaults(t *testing.T) {
	s := openTestStore(t, Config{})
	c, err := s.OpenCheckpoint(write(t, s, 1, smallModel()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	whole := c.Manifest.encode()
	body := whole[:len(whole)-32]
	trees := manifestHeadBytes + 2 + 2*(5+1+11) // no name of a cluster
	memories := trees + treeEntryBytes
	layer := memories + memoryEntryBytes + len("canister-1")
	put := func(at int, v byte) func([]byte) []byte {
		return func(b []byte) []byte { b[at] = v; return b }
	}
	for name, change := range map[string]func(b []byte) []byte{
		"more bytes":       func(b []byte) []byte { return append(b, 0) },
		"fewer bytes":      func(b []byte) []byte { return b[:len(b)-1] },
		"magic":            put(0, 'l'),
		"version":          put(8, 1),
		"first reserved":   put(12, 1),
		"tree files":       put(140, 2),
		"tree reserved":    put(trees+4, 1),
		"tree length":      put(trees, 3),
		"layer tree":       put(layer+64, 2),
		"layer no tree":    put(layer+64, 0),
		"layer tree first": put(layer+68, 99),
		"layer tree count": put(layer+72, 99),
		"suffrage":         put(manifestHeadBytes+2, 9),
		"cluster":          put(manifestHeadBytes+1, 1),
		"same name":        func(b []byte) []byte { return bytes.Replace(b, []byte("canister-2"), []byte("canister-1"), 1) },
		"descending names": func(b []byte) []byte { return bytes.Replace(b, []byte("canister-2"), []byte("canister-0"), 1) },
		"no name":          put(memories+44, 0),
		"layers":           put(memories+40, MaxLayers+1),
		"layer length":     put(layer+7, 1),
		"layer pages":      put(layer+8+7, 1),
		"layer reserved":   put(layer+76, 1),
		"memory size":      put(memories+7, 1),
		"table length":     put(88+7, 1),
	} {
		b := change(bytes.Clone(body))
		binary.LittleEndian.PutUint64(b[16:], uint64(len(b)+32))
		sum := manifestSum(b)
		if m, fault := decodeManifest(append(b, sum[:]...)); fault == nil {
			t.Errorf("%s: accepted %+v", name, m)
		}
	}
	for n := range whole {
		if _, fault := decodeManifest(whole[:n]); fault == nil {
			t.Errorf("cut to %d: accepted", n)
		}
	}
}

// TestIndexFaults reaches every check of the index decoder with a right checksum.
func TestIndexFaults(t *testing.T) {
	x := &pageIndex{}
	for _, page := range []uint64{2, 3, 9} {
		h := testHashing().Page([]byte{byte(page)})
		_ = x.add(page, &h)
	}
	_ = x.add(20, nil)
	b := x.encode()
	foot := len(b) - footerBytes
	for name, change := range map[string]func(b []byte) []byte{
		"short":             func(b []byte) []byte { return b[:footerBytes-1] },
		"magic":             func(b []byte) []byte { b[foot]++; return b },
		"version":           func(b []byte) []byte { b[foot+8]++; return b },
		"page size":         func(b []byte) []byte { b[foot+12]++; return b },
		"pages":             func(b []byte) []byte { b[foot+16]++; return b },
		"zeros":             func(b []byte) []byte { b[foot+24]++; return b },
		"ranges":            func(b []byte) []byte { b[foot+32]++; return b },
		"huge ranges":       func(b []byte) []byte { b[foot+39] = 0x80; return b },
		"huge pages":        func(b []byte) []byte { b[foot+23] = 0x08; return b },
		"descending":        func(b []byte) []byte { b[16] = 1; return b },
		"overlap":           func(b []byte) []byte { b[16] = 3; return b },
		"not joined":        func(b []byte) []byte { b[16] = 4; return b },
		"empty range":       func(b []byte) []byte { b[8] = 0; return b },
		"kind":              func(b []byte) []byte { b[12] = 2; return b },
		"beyond the limit":  func(b []byte) []byte { b[32+4] = 1; return b },
		"wraps":             func(b []byte) []byte { copy(b[32:40], "\xff\xff\xff\xff\xff\xff\xff\xff"); return b },
		"other count":       func(b []byte) []byte { b[8]--; return b },
		"zero turned store": func(b []byte) []byte { b[32+12] = 0; return b },
	} {
		if x, fault := decodePageIndex(change(bytes.Clone(b))); fault == nil {
			t.Errorf("%s: accepted %+v", name, x)
		}
	}
	if _, fault := decodePageIndex(b); fault != nil {
		t.Errorf("unchanged: %v", fault)
	}
}

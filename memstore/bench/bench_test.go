package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"lockstep/figure"
	"lockstep/memstore"
)

func testRun(t *testing.T) *run {
	t.Helper()
	w, err := newWorkshop()
	if err != nil {
		t.Fatal(err)
	}
	s, err := memstore.OpenStore(memstore.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &run{ctx: context.Background(), config: Config{Dir: t.TempDir(), Progress: func(string) {}}, workshop: w, store: s, result: &Result{}}
}

// TestSubjectsDoTheSameWork runs one small cell of the matrix under every subject and looks at its counts.
func TestSubjectsDoTheSameWork(t *testing.T) {
	b := testRun(t)
	const pages = 1 << 10
	file, err := contentsFile(b.config.Dir, pages)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, from := range []source{{file: file}, {file: file, copy: true}, {}} {
		for _, name := range matrixTrackers() {
			s, err := b.subject(name, from, pages, false)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for x, p := range []Pattern{clustered(), scattered(), sequential(64), backward(64), dense(64 << 12)} {
				one, err := s.message("write", p, x+1, false)
				if err != nil {
					t.Fatalf("%s, %s: %v", name, p.Name, err)
				}
				if _, plain := s.(*tracked); plain && one.Counts.Changed != uint64(p.Pages) {
					t.Errorf("%s, %s: %d pages changed, want %d", name, p.Name, one.Counts.Changed, p.Pages)
				}
			}
			if err := s.close(); err != nil {
				t.Error(err)
			}
		}
	}
	if got := b.store.Stats(); got.Live != 0 {
		t.Errorf("the store keeps %+v", got)
	}
}

func TestReports(t *testing.T) {
	r := &Result{
		Machine: machine(), Took: time.Minute,
		Cells:   []Cell{{Call: "update", Op: "read", Pattern: "forward", Tracker: memstore.TrackerCow, Pages: 10, Median: time.Millisecond, Samples: 3}, {Failed: "not run"}},
		Mixed:   []MixedRow{{Tracker: memstore.TrackerNaive, Pass: 2, Messages: 1, Mean: time.Millisecond, Max: time.Second}},
		Figures: []figure.Figure{{Work: "some", Goal: "1", Measured: "2"}, {Work: "none", Failed: "no memory"}},
	}
	var text, js, svg bytes.Buffer
	if err := errors.Join(r.WriteText(&text), r.WriteJSON(&js), r.WriteSVG(&svg)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cow", "missed", "no memory", "not run"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text lacks %q", want)
		}
	}
	var back Result
	if err := json.Unmarshal(js.Bytes(), &back); err != nil || back.Cells[0].Median != time.Millisecond {
		t.Errorf("JSON: %v", err)
	}
	for d := xml.NewDecoder(&svg); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("SVG: %v", err)
		}
	}
}

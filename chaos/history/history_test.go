package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"lockstep/pagetrie"
)

// full is an event of a kind with every field that it may have.
func full(k Kind) Event {
	spec := kindSpecs[k]
	e := Event{At: time.Second + 7, Kind: k, Role: Leader, Class: Query, Outcome: Refused, Node: 2, Peer: 3, Slot: 4, Client: 5, Fault: 6,
		Op: 7, Term: 8, Index: 9, To: 10, Round: 11, Ran: 12, Session: 13, Sequence: 1 << 63, Count: 15,
		Root: pagetrie.Hash{1, 2}, Digest: DigestOf([]byte("x")), Text: "a \"quoted\" täxt\n"}
	drop := func(f field, clear func()) {
		if (spec.must|spec.may)&f == 0 {
			clear()
		}
	}
	drop(fRole, func() { e.Role = 0 })
	drop(fClass, func() { e.Class = 0 })
	drop(fOutcome, func() { e.Outcome = 0 })
	drop(fNode, func() { e.Node = 0 })
	drop(fPeer, func() { e.Peer = 0 })
	drop(fSlot, func() { e.Slot = 0 })
	drop(fClient, func() { e.Client = 0 })
	drop(fFault, func() { e.Fault = 0 })
	drop(fOp, func() { e.Op = 0 })
	drop(fTerm, func() { e.Term = 0 })
	drop(fIndex, func() { e.Index = 0 })
	drop(fTo, func() { e.To = 0 })
	drop(fRound, func() { e.Round = 0 })
	drop(fRan, func() { e.Ran = 0 })
	drop(fSession, func() { e.Session = 0 })
	drop(fSequence, func() { e.Sequence = 0 })
	drop(fCount, func() { e.Count = 0 })
	drop(fRoot, func() { e.Root = pagetrie.Hash{} })
	drop(fDigest, func() { e.Digest = 0 })
	drop(fText, func() { e.Text = "" })
	return e
}

func header() Header {
	return Header{Replicas: 3, Seed: 42, Plan: DigestOf([]byte("plan")), Layer: "sim", Excused: []int{2},
		Parameters: []Parameter{{"a", "b"}}}
}

func record(t *testing.T, events ...Event) (text, faults string) {
	t.Helper()
	var out, f bytes.Buffer
	r, err := NewRecorder(RecorderConfig{Header: header(), Out: &out, Faults: &f, Keep: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		r.Add(e)
	}
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := r.Log(); !reflect.DeepEqual(got.Events, events) {
		t.Errorf("kept are %+v", got.Events)
	}
	return out.String(), f.String()
}

func TestEveryKindIsWrittenAndReadBack(t *testing.T) {
	var events []Event
	for _, k := range Kinds() {
		events = append(events, full(k))
	}
	text, faults := record(t, events...)
	l, err := Read(strings.NewReader(text), "x", 0)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(l.Events, events) || l.Cut || l.Header.Seed != 42 {
		t.Errorf("read back:\n%+v\nwant\n%+v", l.Events, events)
	}
	for line := range strings.Lines(text) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	if n := strings.Count(faults, "\n"); n != 3 {
		t.Errorf("the faults' file has %d lines, want the header, begin and end", n)
	}
	for i := range events {
		if events[i].Words() == events[i].Kind.String() || strings.Contains(events[i].String(), "kind(") {
			t.Errorf("%s has no words", events[i].Kind)
		}
	}
}

func TestEventsThatDoNotFitAreRefused(t *testing.T) {
	for _, c := range []struct {
		event Event
		want  string
	}{
		{Event{}, "unknown kind 0"},
		{Event{Kind: Returned + 1}, "unknown kind"},
		{Event{Kind: Applied, Node: 1, Index: 1}, "event applied has no round"},
		{Event{Kind: Healed, Node: 1}, "event healed has a node: that is nothing to it"},
		{Event{Kind: Ended, At: -1}, "before the run"},
		{Event{Kind: RoleChanged, Node: 1, Role: 9}, "role(9)"},
		{Event{Kind: Truncated, Node: 1, Index: 5, To: 4}, "indexes 5 to 4"},
		{Event{Kind: Crashed, Node: 4}, "there are 3 replicas"},
	} {
		r, err := NewRecorder(RecorderConfig{Header: header()})
		if err != nil {
			t.Fatal(err)
		}
		r.Add(c.event)
		r.Add(Event{Kind: Ended})
		if err := r.Flush(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error is %v, want %s", c.event, err, c.want)
		}
	}
}

func TestReaderSaysWhatIsWrong(t *testing.T) {
	text, _ := record(t, full(Applied))
	head := text[:strings.Index(text, "\n")+1]
	for _, c := range []struct{ text, want string }{
		{"", "x:0: not a history: no header line"},
		{"{}\n", "x:1: not a history: format 0, this program reads 1"},
		{`{"format":1,"replicas":3,"colour":1}` + "\n", `x:1: not a history: json: unknown field "colour"`},
		{head + "{\n", "x:2: not a history: unexpected EOF"},
		{head + `{"at":1,"kind":"eaten"}` + "\n", `x:2: not a history: unknown kind "eaten"`},
		{head + `{"kind":"ended"}` + "\n", "x:2: not a history: an event without at"},
		{head + `{"at":1,"kind":"ended","node":1}` + "\n", "x:2: not a history: event ended has a node"},
		{head + `{"at":1,"kind":"ended"} {}` + "\n", "x:2: not a history: text behind the event"},
		{head + `{"at":1,"kind":"crashed","node":4}` + "\n", "x:2: not a history: node 4, peer 0: there are 3 replicas"},
		{head + `{"at":1,"kind":"role","node":1,"role":"king"}` + "\n", `unknown role "king"`},
		{head + `{"at":1,"kind":"applied","node":1,"index":1,"round":1,"root":"ab"}` + "\n", "root of 2 digits"},
		{head + `{"at":1,"kind":"note","text":"` + strings.Repeat("x", MaxLine) + `"}` + "\n", "a line of more than 65536 bytes"},
	} {
		_, err := Read(strings.NewReader(c.text), "x", 0)
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, ErrBad) {
			t.Errorf("error is %v, want %s", err, c.want)
		}
	}
}

// What a killed recorder leaves can be read, all but the line that it was writing.
func TestAnUnfinishedLineIsLeftOut(t *testing.T) {
	text, _ := record(t, Event{Kind: Healed}, Event{Kind: Ended})
	l, err := Read(strings.NewReader(text[:len(text)-3]), "x", 0)
	if err != nil || !l.Cut || len(l.Events) != 1 {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestLimits(t *testing.T) {
	r, err := NewRecorder(RecorderConfig{Header: header(), MaxEvents: 2})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.Add(Event{Kind: Note, Text: strings.Repeat("x", MaxText+1)})
	}
	if err := r.Flush(); err == nil || !strings.Contains(err.Error(), "more than 2 events") {
		t.Errorf("error is %v", err)
	}
	text, _ := record(t, Event{Kind: Healed}, Event{Kind: Ended})
	if _, err := Read(strings.NewReader(text), "x", 1); err == nil || !strings.Contains(err.Error(), "more than 1 events") {
		t.Errorf("error is %v", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestARecordingThatFailsSaysSo(t *testing.T) {
	observed := 0
	r, err := NewRecorder(RecorderConfig{Header: header(), Out: failingWriter{}, Observe: func(*Event) { observed++ }})
	if err != nil {
		t.Fatal(err)
	}
	r.Add(Event{Kind: Healed})
	if err := r.Flush(); !errors.Is(err, io.ErrShortWrite) || observed != 1 {
		t.Errorf("error is %v, %d events were observed", err, observed)
	}
}

func TestCallsArePutTogether(t *testing.T) {
	l := Log{Events: []Event{
		{At: 1, Kind: Invoked, Op: 1, Class: Update, Client: 3, Session: 5, Sequence: 6},
		{At: 2, Kind: Invoked, Op: 2, Class: Query},
		{At: 3, Kind: Invoked, Op: 3, Class: Update},
		{At: 4, Kind: Returned, Op: 2, Outcome: Unknown, Text: "timed out"},
		{At: 5, Kind: Returned, Op: 1, Outcome: OK, Round: 9, Ran: 8, Index: 10, Digest: 11},
		{At: 6, Kind: Returned, Op: 1, Outcome: Refused},
	}}
	want := []Operation{
		{ID: 1, Invoke: 1, Return: 5, Session: 5, Sequence: 6, Round: 9, Ran: 8, Index: 10, Reply: 11, Client: 3, Class: Update, Outcome: OK},
		{ID: 2, Invoke: 2, Return: 4, Class: Query, Outcome: Unknown},
		{ID: 3, Invoke: 3, Return: NoReturn, Class: Update, Outcome: Unknown},
	}
	if got := l.Operations(); !reflect.DeepEqual(got, want) {
		t.Errorf("operations are %+v", got)
	}
}

func TestRootTable(t *testing.T) {
	a, b := pagetrie.Hash{1}, pagetrie.Hash{2}
	l := Log{Header: Header{Replicas: 2}, Events: []Event{
		{Kind: Applied, Node: 1, Index: 7, Round: 2, Root: a}, {Kind: Applied, Node: 1, Index: 6, Round: 1, Root: b},
		{Kind: Applied, Node: 2, Index: 7, Round: 2, Root: a}, {Kind: Applied, Node: 2, Index: 8, Round: 3, Root: a},
		{Kind: Applied, Node: 1, Index: 8, Round: 3, Root: b},
	}}
	var text bytes.Buffer
	rows := l.RootTable()
	if err := WriteRoots(&text, 2, rows); err != nil {
		t.Fatal(err)
	}
	again, err := ReadRoots(bytes.NewReader(text.Bytes()))
	if err != nil || !reflect.DeepEqual(again, rows) {
		t.Errorf("%v\n%+v\n%+v", err, again, rows)
	}
	if !strings.HasPrefix(text.String(), "round,index,agree,root_1,root_2\n1,6,true,02") || !strings.Contains(text.String(), "\n3,8,false,") {
		t.Errorf("the table is\n%s", text.String())
	}
	forged := strings.Replace(text.String(), "3,8,false", "3,8,true", 1)
	if _, err := ReadRoots(strings.NewReader(forged)); !errors.Is(err, ErrBad) {
		t.Errorf("a table that says that different roots agree is read: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	var text bytes.Buffer
	r, err := NewRecorder(RecorderConfig{Header: header(), Out: &text})
	if err != nil {
		f.Fatal(err)
	}
	for _, k := range Kinds() {
		r.Add(full(k))
	}
	if err := r.Flush(); err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(text.Bytes()) {
		f.Add(line)
	}
	head, _, _ := bytes.Cut(text.Bytes(), []byte("\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		l, err := Read(bytes.NewReader(append(append(append([]byte(nil), head...), '\n'), line...)), "fuzz", 100)
		if err != nil {
			return
		}
		var out bytes.Buffer
		r, err := NewRecorder(RecorderConfig{Header: l.Header, Out: &out})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range l.Events {
			r.Add(e)
			_ = e.String()
		}
		if err := r.Flush(); err != nil {
			t.Fatal(err)
		}
		again, err := Read(&out, "again", 0)
		if err != nil || !reflect.DeepEqual(again.Events, l.Events) {
			t.Fatalf("written again it is not the same: %v\n%+v\n%+v", err, l.Events, again)
		}
	})
}

func FuzzReadRoots(f *testing.F) {
	f.Add("round,index,agree,root_1\n1,2,true,\n")
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := ReadRoots(strings.NewReader(text))
		if err != nil || len(rows) == 0 {
			return
		}
		var out bytes.Buffer
		if err := WriteRoots(&out, len(rows[0].Roots), rows); err != nil {
			t.Fatal(err)
		}
		again, err := ReadRoots(&out)
		if err != nil || !reflect.DeepEqual(again, rows) {
			t.Fatalf("%v\n%+v\n%+v", err, rows, again)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	r, err := NewRecorder(RecorderConfig{Header: header(), Out: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	e := Event{At: time.Second, Kind: Applied, Node: 1, Index: 1234, Round: 1233, Term: 7, Root: pagetrie.Hash{1}, Digest: 77}
	for b.Loop() {
		r.Add(e)
	}
	if err := r.Flush(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkRead(b *testing.B) {
	var text bytes.Buffer
	r, err := NewRecorder(RecorderConfig{Header: header(), Out: &text})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 10_000 {
		r.Add(Event{At: time.Second, Kind: Applied, Node: 1, Index: uint64(i) + 1, Round: uint64(i) + 1, Term: 7, Root: pagetrie.Hash{1}, Digest: 77})
	}
	if err := r.Flush(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		l, err := Read(bytes.NewReader(text.Bytes()), "x", 0)
		if err != nil || len(l.Events) != 10_000 {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/event")
}

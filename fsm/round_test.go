package fsm

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"lockstep/pagetrie"
)

func sampleRound() *Round {
	return &Round{
		Time:     1_700_000_000_000_000_000,
		Attested: Attestation{Round: 41, Root: pagetrie.Hash{1, 2, 3}},
		Messages: []Message{
			{Kind: KindOpenSession, Caller: []byte("me")},
			{Kind: KindUpdate, Session: 7, Sequence: 3, Canister: "kv", Method: "put", Arg: []byte("a=1")},
			{Kind: KindInstall, Canister: "kv", Module: []byte("\x00asm"), Arg: []byte{0xff}},
		},
	}
}

func TestRoundRoundTrip(t *testing.T) {
	want := sampleRound()
	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRound(data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := got.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(data) {
		t.Errorf("encoding again gives other bytes")
	}
	if got.Time != want.Time || !reflect.DeepEqual(got.Attested, want.Attested) || len(got.Messages) != 3 ||
		string(got.Messages[1].Arg) != "a=1" || got.Messages[1].Sequence != 3 {
		t.Errorf("decoded %+v, want %+v", got, want)
	}
}

// Every single-bit flip and every truncation of a log entry must be noticed.
func TestDecodeRoundNoticesDamage(t *testing.T) {
	data, err := sampleRound().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(data) * 8 {
		damaged := []byte(string(data))
		damaged[bit/8] ^= 1 << (bit % 8)
		if _, err := DecodeRound(damaged); !errors.Is(err, ErrBadRound) {
			t.Fatalf("bit %d flipped: error %v, want ErrBadRound", bit, err)
		}
	}
	for n := range data {
		if _, err := DecodeRound(data[:n]); !errors.Is(err, ErrBadRound) {
			t.Fatalf("cut to %d bytes: error %v, want ErrBadRound", n, err)
		}
	}
	if _, err := DecodeRound(append(data, 0)); !errors.Is(err, ErrBadRound) {
		t.Fatalf("a byte more: error %v, want ErrBadRound", err)
	}
}

func FuzzDecodeRound(f *testing.F) {
	data, err := sampleRound().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(roundMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		round, err := DecodeRound(data)
		if err != nil {
			return
		}
		again, err := round.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeRound(again); err != nil {
			t.Fatalf("what was decoded and encoded can't be decoded: %v", err)
		}
	})
}

func TestMessageValidate(t *testing.T) {
	long := strings.Repeat("x", 300)
	cases := []struct {
		name string
		msg  Message
		want string // part of the error; "" for none
	}{
		{"update", Message{Kind: KindUpdate, Canister: "kv", Method: "put"}, ""},
		{"no kind", Message{Canister: "kv", Method: "put"}, "unknown message kind 0"},
		{"no method", Message{Kind: KindUpdate, Canister: "kv"}, "method name is empty"},
		{"long method", Message{Kind: KindUpdate, Canister: "kv", Method: long}, "300 bytes long"},
		{"bad UTF-8", Message{Kind: KindUpdate, Canister: "kv", Method: "\xff"}, "not UTF-8"},
		{"session without sequence", Message{Kind: KindUpdate, Canister: "kv", Method: "put", Session: 1}, "numbered from 1"},
		{"long caller", Message{Kind: KindUpdate, Canister: "kv", Method: "put", Caller: []byte(long)}, "caller is 300 bytes"},
		{"session in session", Message{Kind: KindOpenSession, Session: 1, Sequence: 1}, "inside session 1"},
		{"install", Message{Kind: KindInstall, Canister: "kv-2", Module: []byte{0}}, ""},
		{"install without module", Message{Kind: KindInstall, Canister: "kv"}, "module is empty"},
		{"install with a bad name", Message{Kind: KindInstall, Canister: "KV", Module: []byte{0}}, "not allowed"},
		{"install with a leading dash", Message{Kind: KindInstall, Canister: "-kv", Module: []byte{0}}, "not allowed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := c.msg.Validate()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestStatusText(t *testing.T) {
	for s := StatusReplied; s <= StatusStale; s++ {
		var back Status
		if err := back.UnmarshalText([]byte(s.String())); err != nil || back != s {
			t.Errorf("status %d reads back as %d, error %v", s, back, err)
		}
	}
	var s Status
	if err := s.UnmarshalText([]byte("fine")); err == nil {
		t.Error("an unknown status is read without an error")
	}
}

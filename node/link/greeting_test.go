package link

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func FuzzReadGreeting(f *testing.F) {
	f.Add(greeting{purpose: purposeCheckpoint, cluster: "c", from: "n1", to: "n2"}.encode())
	f.Add([]byte("LSRP\x02\x01\x01c\x02n1\xffn2"))
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		g, err := readGreeting(r)
		if err != nil {
			if !errors.Is(err, errGreeting) {
				t.Fatalf("error %v is not errGreeting", err)
			}
			return
		}
		used := data[:len(data)-r.Len()]
		if !bytes.Equal(g.encode(), used) {
			t.Fatalf("%+v was read from %x and encodes as %x", g, used, g.encode())
		}
	})
}

func FuzzReadAnswer(f *testing.F) {
	f.Add(encodeAnswer(""))
	f.Add(encodeAnswer("no"))
	f.Add([]byte("LSRP\x02\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		reason, err := readAnswer(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, errGreeting) {
				t.Fatalf("error %v is not errGreeting", err)
			}
			return
		}
		again, err := readAnswer(bytes.NewReader(encodeAnswer(reason)))
		if err != nil || again != reason {
			t.Fatalf("%q became %q, %v", reason, again, err)
		}
	})
}

func TestRefusal(t *testing.T) {
	known := func(id string) bool { return id == "n1" }
	for _, tc := range []struct {
		g    greeting
		want string
	}{
		{greeting{purposeRaft, "c", "n1", "n2"}, ""},
		{greeting{purposeCheckpoint, "c", "n1", "n2"}, ""},
		{greeting{7, "c", "n1", "n2"}, `knows no connections for purpose 7`},
		{greeting{purposeRaft, "other", "n1", "n2"}, `cluster "c", not of cluster "other"`},
		{greeting{purposeRaft, "c", "n1", "n3"}, `this is node "n2", not node "n3"`},
		{greeting{purposeRaft, "c", "n9", "n2"}, `node "n9" is not a peer`},
	} {
		if got := tc.g.refusal("c", "n2", known); got != tc.want && (tc.want == "" || !strings.Contains(got, tc.want)) {
			t.Errorf("%+v: %q, want %q", tc.g, got, tc.want)
		}
	}
}

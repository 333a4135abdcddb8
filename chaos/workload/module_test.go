package workload

import (
	"strings"
	"testing"
)

func TestParseModuleRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"empty":       {nil, "the file is empty"},
		"binary junk": {[]byte{1, 2, 0, 4}, "neither a WebAssembly binary nor text"},
		"text junk":   {[]byte("hello"), "WebAssembly text, line 1, column 1: expected `(`"},
		"cut off":     {[]byte("\x00asm\x01\x00\x00\x00\x01\xff"), "module refused: module section, offset 0xa"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseModule("x", c.file); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := ParseModule("No Name", []byte("(module)")); err == nil {
		t.Error("a bad name was taken")
	}
}

func TestModuleName(t *testing.T) {
	for path, want := range map[string]string{
		"/a/b/My Game.wasm": "my-game", "x.wat": "x", "./_t.v2.wasm": "t.v2", "ünï.wasm": "n-",
	} {
		if got := ModuleName(path); got != want {
			t.Errorf("%s is called %q, want %q", path, got, want)
		}
	}
}

func TestCompleteModules(t *testing.T) {
	mine := Module{Name: "kv"}
	got, err := CompleteModules([]Module{mine}, []string{"memory", "kv"})
	if err != nil || len(got) != 2 || got[0].Name != "kv" || got[0].Wasm != nil || got[1].Name != "memory" || got[1].Wasm == nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := CompleteModules(nil, []string{"nobody"}); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("an unknown canister gives %v", err)
	}
	if _, err := CompleteModules([]Module{mine, mine}, nil); err == nil {
		t.Error("two modules of one name were taken")
	}
}

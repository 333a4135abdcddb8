package sim

import (
	"os"
	"testing"
	"time"
)

func TestOne(t *testing.T) {
	text, err := os.ReadFile(os.Getenv("PLAN"))
	if err != nil {
		t.Skip(err)
	}
	pool := &Pool{Limit: 60 * time.Second, Dir: os.Getenv("SIMDIR"), Modules: os.Getenv("SIMMOD"), Log: os.Getenv("SIMLOG") != "", NoReplays: true}
	o := pool.Run(t.Context(), Job{Plan: parse(t, string(text)), History: os.Getenv("HIST")})
	if p := os.Getenv("OUT"); p != "" {
		os.WriteFile(p, []byte(o.Output), 0o644)
	}
	t.Log(o.Result.Verdict.Sentence, o.Err, o.Took)
}

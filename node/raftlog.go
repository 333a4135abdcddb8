package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// newRaftLogger gives raft a logger whose only sink is the node's own.
func newRaftLogger(to *slog.Logger) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard})
	l.RegisterSink(&raftSink{to: to.With("part", "raft")})
	return l
}

// raftSink hands raft's log lines on. Raft's chatter (Info) is Debug here: its changes of role are the node's to tell.
type raftSink struct{ to *slog.Logger }

var raftLevels = map[hclog.Level]slog.Level{
	hclog.Trace: slog.LevelDebug - 4,
	hclog.Debug: slog.LevelDebug - 2,
	hclog.Info:  slog.LevelDebug,
	hclog.Warn:  slog.LevelInfo,
	hclog.Error: slog.LevelWarn,
}

// raftKeys are raft's names for what has a fixed key in this program's log.
var raftKeys = map[string]string{
	"error": "err", "last-index": "index", "previous-index": "index", "latest-index": "index",
	"last-term": "term",
}

// Accept implements hclog.SinkAdapter.
func (s *raftSink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	ctx := context.Background()
	to, known := raftLevels[level]
	if slices.ContainsFunc(args, closedByUs) {
		to = slog.LevelDebug
	}
	if !known || !s.to.Enabled(ctx, to) {
		return
	}
	attrs := make([]slog.Attr, 0, len(args)/2)
	for i := 0; i+1 < len(args); i += 2 {
		key := fmt.Sprint(args[i])
		if fixed, ok := raftKeys[key]; ok {
			key = fixed
		}
		attrs = append(attrs, slog.Any(key, plain(args[i+1])))
	}
	s.to.LogAttrs(ctx, to, msg, attrs...)
}

// closedByUs recognises the end of connections that the node itself has closed.
func closedByUs(arg any) bool {
	err, ok := arg.(error)
	return ok && (errors.Is(err, net.ErrClosed) || errors.Is(err, raft.ErrTransportShutdown))
}

// plain resolves hclog's lazily formatted values.
func plain(v any) any {
	if f, ok := v.(hclog.Format); ok && len(f) > 0 {
		if format, ok := f[0].(string); ok {
			return fmt.Sprintf(format, f[1:]...)
		}
	}
	return v
}

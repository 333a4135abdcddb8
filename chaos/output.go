package chaos

import (
	"bytes"
	"os"
	"strings"
	"time"
)

// output is what one incarnation of a process prints. It goes to the log file, and its end is kept in memory: on a full disk
// the file holds nothing of it, and why the process ended must be known all the same.
type output struct {
	log  *os.File
	tail []byte
}

// tailMost bounds what is kept; outputDelay is how long a process that has ended may keep its output open through others
// that it started.
const (
	tailMost    = 64 << 10
	outputDelay = time.Second
)

// Write implements io.Writer. It never fails: what the disk does not take must not keep the process from printing.
func (o *output) Write(p []byte) (int, error) {
	_, _ = o.log.Write(p)
	o.tail = append(o.tail, p[max(0, len(p)-tailMost):]...)
	if len(o.tail) > 2*tailMost {
		o.tail = append([]byte(nil), o.tail[len(o.tail)-tailMost:]...)
	}
	return len(p), nil
}

// lastWords gives the line by which a process explained its end: the last one that begins with "error: " or "panic: ",
// or else the last line.
func lastWords(printed []byte) string {
	last := ""
	lines := bytes.Split(bytes.TrimSpace(printed), []byte("\n"))
	for i := len(lines) - 1; i >= 0; i-- {
		line := string(lines[i])
		if strings.HasPrefix(line, "error: ") || strings.HasPrefix(line, "panic: ") {
			return strings.TrimPrefix(line, "error: ")
		}
		if last == "" {
			last = line
		}
	}
	return last
}

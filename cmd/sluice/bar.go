package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"sluice/internal/client"
)

// bar shows how far a file and its job are: a moving line on a terminal, else a
// line for every tenth of the file and for every stage of the job. Its
// methods may be called by several goroutines.
type bar struct {
	out      io.Writer
	terminal bool
	done     string // what is done with the bytes, such as sent

	mu     sync.Mutex
	moving *progressbar.ProgressBar // nil between files and off a terminal
	name   string
	size   int64  // -1: only the file's end tells
	tenth  int64  // last one shown
	last   string // last stage shown
}

func newBar(out io.Writer, done string) *bar {
	file, ok := out.(*os.File)
	return &bar{out: out, terminal: ok && term.IsTerminal(int(file.Fd())), done: done}
}

// begin starts one file. What of its name would steer a terminal is replaced.
func (b *bar) begin(name string, sizeBytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, name)
	b.name, b.size, b.tenth, b.last = name, sizeBytes, -1, ""
	if b.terminal {
		b.moving = progressbar.NewOptions64(cmp.Or(sizeBytes, 1), progressbar.OptionSetWriter(b.out),
			progressbar.OptionSetDescription(name), progressbar.OptionShowBytes(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionFullWidth(),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true))
	}
}

// at shows that offset bytes are on their way or stored.
func (b *bar) at(offset int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.moving != nil {
		_ = b.moving.Set64(offset) // drawing only
		return
	}
	if b.size < 0 {
		return
	}
	if tenth := 10 * offset / max(b.size, 1); tenth > b.tenth && !b.terminal {
		b.tenth = tenth
		fmt.Fprintf(b.out, "%s: %d of %d bytes %s\n", b.name, offset, b.size, b.done)
	}
}

// stage shows what the job is at.
func (b *bar) stage(s client.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	line := s.Status
	if s.Stage != "" {
		line += ", " + s.Stage
	}
	switch {
	case b.terminal:
		fmt.Fprintf(b.out, "\r\033[K%s: %s, %d rows", b.name, line, s.Progress.ProcessedItems)
	case line != b.last:
		b.last = line
		fmt.Fprintf(b.out, "%s: %s\n", b.name, line)
	}
}

// retrying shows a failure that is not the end.
func (b *bar) retrying(err error, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(b.out, "%s%v: trying again in %v\n", b.clear(), err, wait.Round(100*time.Millisecond))
}

// end leaves the line empty for what comes next.
func (b *bar) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.moving = nil
	fmt.Fprint(b.out, b.clear())
}

func (b *bar) clear() string {
	if b.terminal {
		return "\r\033[K"
	}
	return ""
}

package gateway

import (
	"context"
	"log/slog"

	tusslog "golang.org/x/exp/slog"
)

// tusLog hands the records of tusd, which logs by the old x/exp package, to a
// standard handler. tusd's Info is one line for every request and chunk, so
// it becomes Debug.
type tusLog struct{ to slog.Handler }

func (l tusLog) Enabled(ctx context.Context, level tusslog.Level) bool {
	return l.to.Enabled(ctx, tusLevel(level))
}

func (l tusLog) Handle(ctx context.Context, r tusslog.Record) error {
	out := slog.NewRecord(r.Time, tusLevel(r.Level), "tus: "+r.Message, r.PC)
	r.Attrs(func(a tusslog.Attr) bool {
		out.AddAttrs(tusAttr(a))
		return true
	})
	return l.to.Handle(ctx, out)
}

func (l tusLog) WithAttrs(attrs []tusslog.Attr) tusslog.Handler {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = tusAttr(a)
	}
	return tusLog{l.to.WithAttrs(out)}
}

func (l tusLog) WithGroup(name string) tusslog.Handler { return tusLog{l.to.WithGroup(name)} }

func tusLevel(level tusslog.Level) slog.Level {
	if level == tusslog.LevelInfo {
		return slog.LevelDebug
	}
	return slog.Level(level)
}

// tusAttr renames the keys that have a name in this project. Group values do
// not occur in tusd and pass as they are.
func tusAttr(a tusslog.Attr) slog.Attr {
	switch a.Key {
	case "id":
		a.Key = "upload_id"
	case "offset":
		a.Key = "offset_bytes"
	case "error":
		a.Key = "err"
	}
	return slog.Any(a.Key, a.Value.Any())
}

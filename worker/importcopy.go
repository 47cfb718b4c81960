package worker

import (
	"context"
	"errors"
	"io"

	"github.com/jackc/pgx/v5"
)

// copying is a file's copy while the file is read; without a Keeper it does nothing.
type copying struct {
	to    Keeper
	pipe  *io.PipeWriter
	ended chan struct{} // the Keeper has come to its end
	err   error         // and how, behind ended
}

// errNotRead is what a Keeper meets whose file was not read to its end.
var errNotRead = errors.New("the file was not read to its end")

// beginCopy begins the copy that in asks for.
func beginCopy(ctx context.Context, in Import, id string) (*copying, error) {
	if in.Keep == nil {
		return &copying{}, nil
	}
	to, err := in.Keep(ctx, in.Draft.Tenant, id)
	if err != nil {
		return nil, err
	}
	source, pipe := io.Pipe()
	c := &copying{to: to, pipe: pipe, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		c.err = to.Write(ctx, source)
		source.CloseWithError(c.err) // who reads the file learns of it by its next read
	}()
	return c, nil
}

// through has what is read copied.
func (c *copying) through(r io.Reader) io.Reader {
	if c.to == nil {
		return r
	}
	return io.TeeReader(r, c.pipe)
}

// finish waits until what was read is stored.
func (c *copying) finish() error {
	if c.to == nil {
		return nil
	}
	_ = c.pipe.Close() // never fails
	<-c.ended
	return c.err
}

func (c *copying) keptTx(ctx context.Context, tx pgx.Tx) error {
	if c.to == nil {
		return nil
	}
	return c.to.KeptTx(ctx, tx)
}

// abort leaves nothing of a copy that is not a job's source.
func (c *copying) abort(ctx context.Context) {
	if c.to == nil {
		return
	}
	_ = c.pipe.CloseWithError(errNotRead) // never fails
	<-c.ended
	c.to.Abort(ctx, "")
}

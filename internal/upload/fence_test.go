package upload_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"
	"golang.org/x/sync/errgroup"
)

// stalled returns a reader that gives first, closes reached, and waits for resume before it gives rest.
func stalled(first, rest []byte) (body io.Reader, reached, resume chan struct{}) {
	reached, resume = make(chan struct{}), make(chan struct{})
	wait := readFunc(func([]byte) (int, error) {
		close(reached)
		<-resume
		return 0, io.EOF
	})
	return io.MultiReader(bytes.NewReader(first), wait, bytes.NewReader(rest)), reached, resume
}

// A writer that was overtaken while it received changes nothing, whatever it received; nor do its objects.
func TestLateWriterChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, file := random(1, 600*kib), random(2, 600*kib)
	id := w.create(int64(len(file)))
	body, reached, resume := stalled(old[:100*kib], old[100*kib:])
	late := make(chan error, 1)
	go func() {
		n, err := w.patch(w.store, id, 0, body)
		if n != 0 {
			err = errors.Join(err, errors.New("late writer moved the offset"))
		}
		late <- err
	}()
	<-reached
	second, _ := w.open(w.cfg) // another process
	n, err := w.patch(second, id, 0, bytes.NewReader(file[:500*kib]))
	w.must(err)
	close(resume)
	w.wantError(<-late, handler.ErrFileLocked)
	if got := w.info(id).OffsetBytes; n != 500*kib || got != n {
		t.Errorf("offset is %d after %d bytes", got, n)
	}
	_, err = w.patch(w.store, id, n, bytes.NewReader(file[n:]))
	w.must(err)
	w.wantComplete(id, file)
	if w.gauge("sluice_upload_fenced_total") != 1 {
		t.Error("the late writer is not counted")
	}
}

// Nor does it when its successor has recorded nothing yet: the ledger is not the first comer's but the last taker's.
func TestOvertakenWriterIsTooLateAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, file := random(1, 600*kib), random(2, 600*kib)
	id := w.create(int64(len(file)))
	first, firstReached, firstResume := stalled(old[:100*kib], old[100*kib:])
	second, secondReached, secondResume := stalled(file[:100*kib], file[100*kib:])
	overtaken, taker := make(chan error, 1), make(chan error, 1)
	write := func(body io.Reader, done chan error) {
		_, err := w.patch(w.store, id, 0, body)
		done <- err
	}
	go write(first, overtaken)
	<-firstReached
	go write(second, taker)
	<-secondReached
	close(firstResume)
	w.wantError(<-overtaken, handler.ErrFileLocked)
	if got := w.info(id).OffsetBytes; got != 0 {
		t.Errorf("offset is %d", got)
	}
	close(secondResume)
	w.must(<-taker)
	w.wantComplete(id, file)
}

// Two processes write the same upload as fast as they can, each from where it believes the upload to stand.
func TestTwoProcessesFight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := random(5, 3<<20)
	id := w.create(int64(len(file)))
	var group errgroup.Group
	for range 3 {
		store, _ := w.open(w.cfg)
		group.Go(func() error {
			for {
				u, err := store.GetUpload(t.Context(), id)
				if err != nil {
					return err
				}
				info, err := u.GetInfo(t.Context())
				if err != nil || info.Offset == info.Size {
					return err
				}
				size := min(300*kib, info.Size-info.Offset)
				n, err := u.WriteChunk(t.Context(), info.Offset, bytes.NewReader(file[info.Offset:][:size]))
				lost := errors.Is(err, handler.ErrFileLocked) || errors.Is(err, handler.ErrMismatchOffset)
				if err == nil && n != size || err != nil && !lost {
					return errors.Join(err, errors.New("write fell short"))
				}
			}
		})
	}
	w.must(group.Wait())
	w.wantComplete(id, file)
}

func TestLockIsHandedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locker := w.store.Composer().Locker
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan struct{})
		first, second, other := lock(t, locker), lock(t, locker), lock(t, locker)
		w.must(first.Lock(t.Context(), func() { close(asked) }))
		go func() {
			time.Sleep(time.Second / 2) // it is not told to leave before it can be
			w.store.Reading("id")
			<-asked
			time.Sleep(time.Second / 2) // it stores what it has
			w.must(first.Unlock())
		}()
		begin := time.Now()
		w.must(second.Lock(t.Context(), func() {}))
		if waited := time.Since(begin); waited != time.Second {
			t.Errorf("waited for %v", waited)
		}
		w.must(second.Unlock())
		w.must(other.Lock(t.Context(), nil))
		w.must(other.Unlock())
	})
}

func TestLockIsTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locker := w.store.Composer().Locker
	synctest.Test(t, func(t *testing.T) {
		first, second, third := lock(t, locker), lock(t, locker), lock(t, locker)
		w.must(first.Lock(t.Context(), func() {})) // it does not leave
		begin := time.Now()
		w.must(second.Lock(t.Context(), func() {}))
		if waited := time.Since(begin); waited != 2*time.Second {
			t.Errorf("waited for %v", waited)
		}
		w.must(first.Unlock()) // which is not its any more
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w.wantError(third.Lock(ctx, nil), handler.ErrFileLocked)
		w.must(second.Unlock())
		w.must(third.Lock(t.Context(), nil))
	})
}

func lock(t *testing.T, l handler.Locker) handler.Lock {
	t.Helper()
	k, err := l.NewLock("id")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

package share_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"sluice/internal/share"
)

// line notes in which order those who wait are served.
type line struct {
	*testing.T

	order []string
}

func (l *line) wait(a *share.Account, name string) {
	go func() {
		if a.Wait(l.Context()) == nil {
			l.order = append(l.order, name)
		}
	}()
	synctest.Wait()
}

// release gives n back, one by one.
func (l *line) release(a *share.Account, n int) {
	for range n {
		a.Release(1)
		synctest.Wait()
	}
}

func (l *line) want(order ...string) {
	l.Helper()
	if !slices.Equal(l.order, order) {
		l.Errorf("order is %q, want %q", l.order, order)
	}
}

// What is released goes to the tenant that holds fewest, and there to who came first.
func TestWhoHoldsFewest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := &line{T: t}, share.New(4, 0)
		many, few := s.Of("many"), s.Of("few")
		for range 4 {
			many.Try()
		}
		if many.Try() || s.Of("many") != many {
			t.Fatal("more than there is")
		}
		for i := range 3 {
			l.wait(many, fmt.Sprint("many ", i))
		}
		l.wait(few, "few 0")
		l.wait(few, "few 1")
		if !few.Wanted() || few.Try() {
			t.Error("who comes later is first")
		}
		l.release(many, 4)
		l.want("few 0", "few 1", "many 0", "many 1")
		l.release(few, 2)
		l.release(many, 1)
		l.want("few 0", "few 1", "many 0", "many 1", "many 2")
		if many.Wanted() || !few.Try() || !few.Try() || few.Try() {
			t.Error("of 4 not 2 are held")
		}
	})
}

// Those that hold as many take turns, however many of each wait.
func TestTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := &line{T: t}, share.New(1, 0)
		crowd, pair, owner := s.Of("crowd"), s.Of("pair"), s.Of("owner")
		owner.Try()
		for i := range 4 {
			l.wait(crowd, fmt.Sprint("crowd ", i))
		}
		l.wait(pair, "pair 0")
		l.wait(pair, "pair 1")
		l.release(owner, 1)
		for _, a := range []*share.Account{crowd, pair, crowd, pair, crowd, crowd} {
			l.release(a, 1)
		}
		l.want("crowd 0", "pair 0", "crowd 1", "pair 1", "crowd 2", "crowd 3")
	})
}

// Who gives up is not served, and nothing is lost by it.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := &line{T: t}, share.New(1, 0)
		owner, other := s.Of("owner"), s.Of("other")
		owner.Try()
		gone, leave := context.WithCancelCause(t.Context())
		go func() {
			if err := other.Wait(gone); err != context.Canceled { //nolint:errorlint // the cause itself
				t.Errorf("error = %v", err)
			}
		}()
		synctest.Wait()
		l.wait(owner, "owner")
		leave(context.Canceled)
		synctest.Wait()
		l.release(owner, 1)
		l.want("owner")
		l.release(owner, 1)
		if other.Wanted() || !other.Try() {
			t.Error("it is not free")
		}
	})
}

// What is kept goes to who holds none, at once, and to nobody else.
func TestKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, s := &line{T: t}, share.New(3, 1)
		many, few := s.Of("many"), s.Of("few")
		for i := range 4 {
			l.wait(many, fmt.Sprint("many ", i))
		}
		l.want("many 0", "many 1")
		l.wait(few, "few 0")
		l.wait(few, "few 1")
		l.release(few, 1)
		l.want("many 0", "many 1", "few 0", "few 1")
		l.release(many, 1)
		l.want("many 0", "many 1", "few 0", "few 1")
		l.release(few, 1)
		l.want("many 0", "many 1", "few 0", "few 1", "many 2")
		if many.Try() || !few.Try() || !many.Wanted() {
			t.Error("what is kept is not for who holds none")
		}
	})
}

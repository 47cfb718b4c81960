package upload

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
)

// What is released goes to the tenant that holds least, and there to who came first.
func TestMemoryIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(4 * slabBytes)
		many, few := m.of("many"), m.of("few")
		var held []*slab
		for range 4 {
			held = append(held, many.try())
		}
		if many.try() != nil {
			t.Fatal("more than there is")
		}
		var order []string
		wait := func(a *account, name string) {
			go func() {
				if _, err := a.wait(t.Context()); err == nil {
					order = append(order, name)
				}
			}()
			synctest.Wait()
		}
		for i := range 3 {
			wait(many, fmt.Sprint("many ", i))
		}
		gone, leave := context.WithCancel(t.Context())
		go func() {
			if _, err := few.wait(gone); err == nil {
				t.Error("who has gone gets memory")
			}
		}()
		synctest.Wait()
		leave()
		synctest.Wait()
		wait(few, "few 0")
		wait(few, "few 1")
		if !few.wanted() || few.try() != nil {
			t.Error("who comes later is first")
		}
		for _, s := range held {
			many.release(s)
			synctest.Wait()
		}
		if want := []string{"few 0", "few 1", "many 0", "many 1"}; !slices.Equal(order, want) {
			t.Errorf("order is %q, want %q", order, want)
		}
		many.release(new(slab), new(slab))
		synctest.Wait()
		few.release(new(slab), new(slab))
		if m.waiting != 0 || m.left != 3 || few.held != 0 || many.held != 1 {
			t.Errorf("%d wait, %d left, %d and %d held", m.waiting, m.left, few.held, many.held)
		}
	})
}

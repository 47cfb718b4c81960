package blob_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
)

func TestCompose(t *testing.T) {
	t.Parallel()
	b := devtest.Bucket(t)
	const mib = 1 << 20
	body := random(17 * mib)
	for _, sizes := range [][]int{{17 * mib}, {5 * mib, 12 * mib}, {5*mib - 1, 7*mib + 1, 5 * mib}, {mib, 16*mib - 1, 1}, {1, 2, 3}, {}} {
		t.Run(fmt.Sprint(sizes), func(t *testing.T) {
			t.Parallel()
			var objects []blob.Object
			at := 0
			for i, size := range sizes {
				o, err := b.Put(t.Context(), fmt.Sprint(sizes, " of ä/", i), body[at:at+size])
				must(t, err)
				objects = append(objects, o)
				at += size
			}
			beats := 0
			o, err := b.Compose(t.Context(), fmt.Sprint(sizes), func(context.Context) error { beats++; return nil }, objects...)
			must(t, err)
			if o.SizeBytes != int64(at) || o.CRC64 != blob.CRC64(body[:at]) || beats != len(sizes) {
				t.Errorf("object is %+v after %d beats", o, beats)
			}
			content(t, b, body[:at], o)
		})
	}
}

// Objects that are not what they were do not become part of another.
func TestComposeOfChanged(t *testing.T) {
	t.Parallel()
	b := devtest.Bucket(t)
	for _, size := range []int{1000, 6 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			beat := func(context.Context) error { return nil }
			key := fmt.Sprint("part-", size)
			o, err := b.Put(t.Context(), key, random(size))
			must(t, err)
			wrong := o
			wrong.CRC64++
			if _, err := b.Compose(t.Context(), key+"-wrong", beat, wrong, wrong); err == nil {
				t.Error("composed of another checksum")
			}
			_, err = b.Put(t.Context(), key, append(random(size), 1))
			must(t, err)
			_, err = b.Compose(t.Context(), key+"-changed", beat, o, o)
			wantError(t, err, blob.ErrChanged)
			o.Key = "none"
			_, err = b.Compose(t.Context(), key+"-none", beat, o)
			wantError(t, err, blob.ErrNotFound)
			stopped := errors.New("stopped")
			o, err = b.Put(t.Context(), key+"-again", random(size))
			must(t, err)
			_, err = b.Compose(t.Context(), key+"-stopped", func(context.Context) error { return stopped }, o, o)
			wantError(t, err, stopped)
			for _, made := range []string{"-wrong", "-changed", "-none", "-stopped"} {
				_, err = b.Stat(t.Context(), key+made)
				wantError(t, err, blob.ErrNotFound)
			}
		})
	}
}

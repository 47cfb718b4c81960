package devtest

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// Disk is a folder with room for so many bytes and no more.
type Disk struct{ Dir string }

// NewDisk mounts a disk that is gone after the test. The error says why that
// cannot be done here: mounting is root's.
func NewDisk(t testing.TB, bytes int64) (*Disk, error) {
	t.Helper()
	d := &Disk{t.TempDir()}
	if err := unix.Mount("sluice-test", d.Dir, "tmpfs", 0, size(bytes)); err != nil {
		return nil, fmt.Errorf("no small disk can be mounted: %w", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(d.Dir, unix.MNT_DETACH); err != nil {
			t.Logf("devtest: unmount small disk: %v", err)
		}
	})
	return d, nil
}

// Resize gives the disk room for more, or less.
func (d *Disk) Resize(bytes int64) error {
	return unix.Mount("sluice-test", d.Dir, "tmpfs", unix.MS_REMOUNT, size(bytes))
}

func size(bytes int64) string { return fmt.Sprintf("size=%d", bytes) }

package rollup

import (
	"os"

	"golang.org/x/sys/unix"
)

// tempFile creates a file that never has a name, where the file system can do
// so.
func tempFile(dir string) (*os.File, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return namedTempFile(dir)
	}
	return f, nil
}

package rollup

import (
	"errors"
	"os"
)

// namedTempFile creates a file and takes its name away at once. Whoever is
// killed between the two leaves an empty file.
func namedTempFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "sluice-rollup-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

//go:build !linux

package rollup

import "os"

func tempFile(dir string) (*os.File, error) { return namedTempFile(dir) }

package worker_test

import (
	"strings"
	"testing"

	"sluice/internal/blob"
	"sluice/internal/upload"
	"sluice/worker"
)

// The parts of a file become one object after its job, without anybody asking.
func TestProcessedFileIsComposed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, whole := w.file(csv...), strings.Join(csv, "")
	w.exec(`UPDATE uploads SET compose_at = clock_timestamp(), crc64 = $1`, int64(blob.CRC64([]byte(whole))))
	w.start(func(c *worker.Config) { c.Composer = c.Sweeper.(*upload.Store) })
	w.eventually("the parts to be one object", func() bool {
		source, err := w.jobs.Source(t.Context(), tenant, id)
		w.must(err)
		return len(source) == 1 && strings.HasSuffix(source[0].Key, "/file") && source[0].SizeBytes == int64(len(whole))
	})
	w.ends(id)
	if _, err := w.bucket.Stat(t.Context(), partKey(id, 0)); err != nil {
		t.Errorf("a part is gone within the grace time: %v", err)
	}
}

package worker_test

import (
	"fmt"
	"strings"
	"testing"

	"sluice/internal/devstack/devtest"
	"sluice/internal/job"
	"sluice/worker"
)

// A disk that is full costs a job nothing but time, and its user is told for what
// it waits.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk, err := devtest.NewDisk(t, 64<<10)
	if err != nil {
		t.Skip(err)
	}
	w := newWorld(t)
	var file strings.Builder
	file.WriteString("account_id,date,amount\n")
	const accounts = 20_000
	for i := range accounts {
		fmt.Fprintf(&file, "A%05d,2024-01-01,1.00\n", i)
	}
	id := w.file(file.String())
	w.start(func(c *worker.Config) { c.JobMemoryBytes, c.TempDir = 1, disk.Dir })
	j := w.await(id, "a wait, or an end", func(j job.Job) bool { return j.WaitReason != "" || j.State.Terminal() })
	if j.State != job.UploadComplete || !strings.Contains(j.WaitReason, "disk") || !j.WaitUntil.After(j.UpdatedAt) {
		t.Fatalf("%s, %v, waits because %q until %v", j.State, j.Error, j.WaitReason, j.WaitUntil)
	}
	w.must(disk.Resize(64 << 20))
	j = w.ends(id)
	if j.State != job.JobComplete || j.Deaths != 0 || j.RowsAccepted != accounts || len(w.offers(id)) != accounts {
		t.Errorf("%s, %v, %d deaths, %d rows", j.State, j.Error, j.Deaths, j.RowsAccepted)
	}
}

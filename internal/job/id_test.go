package job_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/job"
)

func TestNewIDSortsByCreation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ids []string
		for range 100 {
			ids = append(ids, job.NewID())
			time.Sleep(time.Millisecond) // of the bubble's clock
		}
		if !slices.IsSorted(ids) {
			t.Errorf("ids do not sort: %v", ids)
		}
	})
}

func TestNewIDIsUnique(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 10_000 {
		id := job.NewID()
		if !job.ValidID(id) || len(id) != len("job_")+26 {
			t.Fatalf("id %q is not valid", id)
		}
		if seen[id] {
			t.Fatalf("id %q came twice", id)
		}
		seen[id] = true
	}
}

func TestValidID(t *testing.T) {
	t.Parallel()
	tests := []struct {
		id   string
		want bool
	}{
		{"job_01h455vb4pex5vsknk084sn02q", true},
		{"job_01H455VB4PEX5VSKNK084SN02Q", false}, // one spelling only
		{"job_01h455vb4pex5vsknk084sn02", false},
		{"job_01h455vb4pex5vsknk084sn02qq", false},
		{"job_81h455vb4pex5vsknk084sn02q", false}, // over 128 bits
		{"job_01h455vb4pex5vsknk084sn02l", false}, // no such digit
		{"jobs_01h455vb4pex5vsknk084sn02q", false},
		{"01h455vb4pex5vsknk084sn02q", false},
		{"job_../../../../../../../etc", false},
		{"job_", false},
		{"", false},
	}
	for _, tt := range tests {
		if got := job.ValidID(tt.id); got != tt.want {
			t.Errorf("ValidID(%q) = %v", tt.id, got)
		}
	}
}

func TestTenant(t *testing.T) {
	t.Parallel()
	if got := job.Tenant(t.Context()); got != "default" {
		t.Errorf("keyless tenant = %q", got)
	}
	if got := job.Tenant(job.WithTenant(t.Context(), tenant)); got != tenant {
		t.Errorf("tenant = %q", got)
	}
}

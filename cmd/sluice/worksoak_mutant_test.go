package main_test

import (
	"os"
	"os/exec"
	"testing"
)

// workMutants each lack one of the mechanisms that TestWorkSoak is about.
var workMutants = []mutant{
	{"no fence", "internal/job/step.go", [][2]string{
		{"missing || j.Fence != c.held.Fence", "missing"},
		{"return checkStep(State(j.State), c.to)", "if c.held != nil {\n\t\treturn nil\n\t}\n\treturn checkStep(State(j.State), c.to)"},
	}},
	// Whoever is told of a job takes it, whether or not somebody has it or had it.
	{"no unique claim", "internal/job/step.go", [][2]string{
		{"\tcase c.held != nil && (missing", "\tcase c.to == InProgress && !missing:\n\t\treturn nil\n\tcase c.held != nil && (missing"},
	}},
	{"leases never expire", "internal/job/db/lease.sql.go", [][2]string{
		{"THEN jobs.lease_expires_at < clock_timestamp()", "THEN false"},
	}},
}

// TestWorkMutants shows that the soak sees what becomes of each mutant.
func TestWorkMutants(t *testing.T) {
	if os.Getenv("SLUICE_SOAK_CYCLES") == "" {
		t.Skip("each mutant is a build and a soak of its own: `make soak` runs them")
	}
	for _, m := range workMutants {
		t.Run(m.name, func(t *testing.T) {
			soak := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWorkSoak$")
			soak.Env = append(os.Environ(), "SLUICE_SOAK_BINARY="+m.build(t), "SLUICE_SOAK_CYCLES=120")
			out, err := soak.CombinedOutput()
			if err == nil {
				t.Fatalf("the soak is content:\n%.2000s", out)
			}
			t.Logf("seen:\n%.600s", out)
		})
	}
}

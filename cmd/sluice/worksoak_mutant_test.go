package main_test

import (
	"os"
	"os/exec"
	"regexp"
	"testing"
)

// double is what the verdict says of a job that two attempts have written.
var double = regexp.MustCompile(`has ended \d+ times|jobs with two ends|something else than undisturbed|offers of lost attempts|results of jobs not ended`)

// workMutants each lack one of the mechanisms that TestWorkSoak is about.
var workMutants = []struct {
	mutant

	seen *regexp.Regexp // what the soak must say of it
}{
	{mutant{"no fence", "internal/job/step.go", [][2]string{
		{"missing || j.Fence != c.held.Fence", "missing"},
		{"return checkStep(State(j.State), c.to)", "if c.held != nil {\n\t\treturn nil\n\t}\n\treturn checkStep(State(j.State), c.to)"},
	}}, double},
	// Whoever is told of a job takes it, whether or not somebody has it or had it.
	{mutant{"no unique claim", "internal/job/step.go", [][2]string{
		{"\tcase c.held != nil && (missing", "\tcase c.to == InProgress && !missing:\n\t\treturn nil\n\tcase c.held != nil && (missing"},
	}}, double},
	{mutant{"leases never expire", "internal/job/db/lease.sql.go", [][2]string{
		{"THEN jobs.lease_expires_at < clock_timestamp()", "THEN false"},
	}}, regexp.MustCompile(`waited a minute for the end of job_`)},
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
			said := m.seen.Find(out)
			if said == nil {
				t.Fatalf("the soak fails for another reason:\n%.4000s", out)
			}
			t.Logf("seen: %s\n%.600s", said, out)
		})
	}
}

package main_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// withoutTenant is every statement that does not ask for one tenant by name, by why it
// need not. Row-level security holds those that do, and the last two of these, too.
var withoutTenant = map[string]string{
	"is asked by sluice_system, whose work is all tenants'": `access.DropSessions drop.Busy drop.ClaimAction drop.ClaimListing
		drop.EndListing drop.Entangled drop.KnownKeys drop.ListSoon drop.LockWatch drop.RecordAction drop.SaveListing drop.WatchOfJob
		drop.WatchesWaiting drop.YieldListing erasure.ClaimErasure idempotency.DropKeys job.ClaimDelivery job.ClaimStray
		job.ForgetDeliveries job.ForgetUsage job.Gauges job.ListEnded job.ListLimits job.ListRetentions job.ListUneven job.LiveObjects
		job.LockStranded job.LockStrandedDelivery job.StraySwept job.Unannounce session.DropSessions upload.ClaimCompose
		upload.ClaimSweep upload.Composed upload.DeletePartsBehindFirst upload.EndExpired upload.ExtendCompose upload.Manifest
		upload.PartKeys upload.Swept`,
	"finds whose a secret, a key or an object is": `access.EndSession access.LiveKey access.LiveSession access.LockKey drop.FindWatch
		upload.TokenTenant`,
	"shows no row of a tenant": `access.AnyKey access.TellChange drop.LockWatches drop.TellProbe job.KnowQueue job.ListQueues
		job.TellStop job.Uptime upload.AskToLeave`,
	"changes rows below one that was found by its tenant, in its transaction": `drop.HoldWatch job.AdmitJobs upload.InsertConcat
		upload.InsertConcats upload.Join upload.PutPart`,
	"locks a row whose tenant is compared then, or was before": `job.LockJob`,
}

// TestTenantInEveryQuery: a statement asks for the rows of one tenant, or it is known why
// not. What row-level security would do if one were forgotten is of TestEveryTable.
func TestTenantInEveryQuery(t *testing.T) {
	t.Parallel()
	asked, known := regexp.MustCompile(`@tenant\b`), map[string]bool{}
	for _, names := range withoutTenant {
		for name := range strings.FieldsSeq(names) {
			known[name] = true
		}
	}
	statements := statements(t)
	for _, name := range slices.Sorted(maps.Keys(statements)) {
		asks := asked.MatchString(statements[name])
		switch {
		case !asks && !known[name]:
			t.Errorf("%s does not ask for its tenant: add AND tenant = @tenant, or say in withoutTenant why not", name)
		case asks && known[name]:
			t.Errorf("%s asks for its tenant: take it off withoutTenant", name)
		}
		delete(known, name)
	}
	for name := range known {
		t.Errorf("%s is in withoutTenant, and is no statement", name)
	}
}

// statements returns what each of the product's is, without its comments, by room and name.
func statements(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../internal/*/query/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no statements: %v", err)
	}
	all := map[string]string{}
	heads, comments := regexp.MustCompile(`(?m)^-- name: (\w+) :\w+$`), regexp.MustCompile(`--.*`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		room := filepath.Base(filepath.Dir(filepath.Dir(file)))
		found := heads.FindAllSubmatchIndex(text, -1)
		for i, at := range found {
			end := len(text)
			if i+1 < len(found) {
				end = found[i+1][0]
			}
			all[room+"."+string(text[at[2]:at[3]])] = comments.ReplaceAllString(string(text[at[1]:end]), "")
		}
	}
	return all
}

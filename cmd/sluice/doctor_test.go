package main_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// The binary's doctor exits with 0 where all is well and with 1 where it is not,
// and shows no secret either way.
func TestDoctor(t *testing.T) {
	t.Parallel()
	env := stackEnv(t)
	for name, c := range map[string]struct {
		edit string
		code int
	}{"healthy": {"", 0}, "no bucket": {"SLUICE_S3_BUCKET=nowhere", 1}, "no database": {"SLUICE_DATABASE_URL=postgres://u:canary-password@127.0.0.1:1/x", 1}} {
		for _, args := range [][]string{{"doctor"}, {"doctor", "--json"}} {
			var out strings.Builder
			cmd := command(t, append(env, c.edit), args...)
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if code := exitCode(t, cmd); code != c.code {
				t.Errorf("%s: %v exits with %d:\n%s", name, args, code, out.String())
			}
			for _, secret := range []string{"canary-password", setting(t, env, "SLUICE_S3_SECRET_ACCESS_KEY")} {
				if strings.Contains(out.String(), secret) {
					t.Errorf("%s: %v shows a secret:\n%s", name, args, out.String())
				}
			}
			if len(args) == 2 {
				var report struct {
					OK     bool
					Checks []struct{ Check, Status, Detail, Fix string }
				}
				if err := json.NewDecoder(strings.NewReader(out.String())).Decode(&report); err != nil || report.OK != (c.code == 0) || len(report.Checks) == 0 {
					t.Errorf("%s: report %+v, %v", name, report, err)
				}
			}
		}
	}
}

// With a hook secret the doctor writes a probe into each place that is watched: it
// makes no job, nothing is left of it, and what is told is whether its event came.
func TestDoctorTriesBucketEvents(t *testing.T) {
	t.Parallel()
	w := newDropWorld(t)
	tried := func(edit ...string) map[string]string {
		t.Helper()
		out, err := command(t, append(w.env, edit...), "doctor", "--json").Output()
		w.must(err)
		var report struct {
			Checks []struct{ Check, Status, Detail string }
		}
		w.must(json.Unmarshal(out, &report))
		found := map[string]string{}
		for _, c := range report.Checks {
			if name, ok := strings.CutPrefix(c.Check, "hook: "); ok {
				found[name] = c.Status
				t.Logf("%s: %s, %s", name, c.Status, c.Detail)
			}
		}
		return found
	}
	wanted := func(what string, got, want map[string]string) {
		t.Helper()
		if !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	wanted("nothing watched", tried(), map[string]string{"bucket events": "skip"})
	w.run("watch", "add", "drops/in/", "--suffix", ".csv")
	w.run("watch", "add", "drops/day", "--in-order")
	gateway := serve(t, append(w.env, "SLUICE_WATCH_INTERVAL=1s"), "127.0.0.1:0") // which lists the probes too
	wanted("no secret", tried("SLUICE_HOOK_SECRET="), map[string]string{"bucket events": "skip"})
	wanted("events are lost", tried(), map[string]string{"drops/in/": "warn", "drops/day": "warn"})
	w.events(gateway)
	wanted("events arrive", tried(), map[string]string{"drops/in/": "ok", "drops/day": "ok"})
	_, err := w.partner.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: aws.String("drops"), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	w.must(err)
	wanted("of a bucket with versions", tried(), map[string]string{"drops/in/": "ok", "drops/day": "ok"})
	left, err := w.partner.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String("drops")})
	w.must(err)
	if len(left.Versions) > 0 || len(left.DeleteMarkers) > 0 || w.count("jobs") > 0 {
		t.Errorf("left behind: %d versions, %d markers, %d jobs", len(left.Versions), len(left.DeleteMarkers), w.count("jobs"))
	}
	gateway.stop(t)
}

package main_test

import (
	"encoding/json"
	"strings"
	"testing"
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

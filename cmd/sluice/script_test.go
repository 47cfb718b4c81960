package main_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the command line without any server.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, scripts(t, "testdata/script"))
}

// TestUploadScripts runs `sluice upload` against a server.
func TestUploadScripts(t *testing.T) {
	t.Parallel()
	s := serve(t, stackEnv(t), "127.0.0.1:0")
	t.Run("scripts", func(t *testing.T) { testscript.Run(t, scripts(t, "testdata/upload", "SLUICE_URL="+s.url)) })
	s.stop(t)
}

// TestImportScripts runs `sluice import` against a database and a bucket.
func TestImportScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, scripts(t, "testdata/import", stackEnv(t)...))
}

func scripts(t *testing.T, dir string, env ...string) testscript.Params {
	t.Helper()
	path := filepath.Dir(binary(t))
	return testscript.Params{
		Dir: dir, RequireExplicitExec: true,
		Setup: func(script *testscript.Env) error {
			script.Setenv("HOME", filepath.Join(script.WorkDir, "home"))
			for _, setting := range env {
				name, value, _ := strings.Cut(setting, "=")
				script.Setenv(name, value)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sluice": func(ts *testscript.TestScript, negated bool, args []string) {
				if negated {
					ts.Fatalf("say which code: exits N sluice …")
				}
				ts.Check(ts.Exec(filepath.Join(path, "sluice"), args...))
			},
			// exits N sluice … runs the binary, which must exit with the code N.
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				err = ts.Exec(filepath.Join(path, args[1]), args[2:]...)
				if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != want {
					ts.Fatalf("exit: %v, want code %d", err, want)
				}
			},
		},
	}
}

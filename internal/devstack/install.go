package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// minMajor is the oldest PostgreSQL that Sluice supports.
const minMajor = 15

// install is the one command that helps on Debian and its kin.
const install = "apt-get install -y --no-install-recommends postgresql"

// binaries is an installed PostgreSQL server.
type binaries struct {
	dir   string
	major int
}

// findPostgres returns the newest server installed that is minMajor or later,
// and where major is not 0, one of exactly that major version.
func findPostgres(ctx context.Context, major int) (binaries, error) {
	var found []binaries
	for _, dir := range binaryDirs() {
		if b, ok := probe(ctx, dir); ok {
			found = append(found, b)
		}
	}
	if ctx.Err() != nil {
		return binaries{}, ctx.Err() // what was not found was not looked for
	}
	slices.SortStableFunc(found, func(a, b binaries) int { return b.major - a.major })
	for _, b := range found {
		if b.major == major || (major == 0 && b.major >= minMajor) {
			return b, nil
		}
	}
	if major != 0 {
		return binaries{}, fmt.Errorf("%w: the data needs version %d: install postgresql-%d, or move the data away", ErrNoPostgres, major, major)
	}
	return binaries{}, fmt.Errorf("%w: version %d or later is needed; install it with: sudo %s", ErrNoPostgres, minMajor, install)
}

// binaryDirs lists where servers are installed: PATH, Debian and its kin (which
// keep them out of PATH), the PostgreSQL project's RPMs.
func binaryDirs() []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"} {
		m, _ := filepath.Glob(pattern) // errs only on a malformed pattern
		dirs = append(dirs, m...)
	}
	return dirs
}

// probe asks the server in dir for its version: "postgres (PostgreSQL) 15.14 …".
func probe(ctx context.Context, dir string) (binaries, bool) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return binaries{}, false
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "-V").Output()
	_, version, ok := strings.Cut(string(out), "(PostgreSQL) ")
	if err != nil || !ok {
		return binaries{}, false
	}
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	major, err := strconv.Atoi(version[:max(end, 0)])
	return binaries{dir: dir, major: major}, err == nil
}

// EnsurePostgres installs Debian's postgresql where no usable server is found,
// as root or through a sudo that asks nothing, and shows on out what it runs.
// Where it may not, the error, an [ErrNoPostgres], names the command that will.
//
// The package starts a cluster of its own, as it does for anyone who installs it;
// that cluster is neither touched nor used.
func EnsurePostgres(ctx context.Context, out io.Writer) error {
	_, missing := findPostgres(ctx, 0)
	if !errors.Is(missing, ErrNoPostgres) {
		return missing
	}
	prefix, ok := elevated(ctx)
	if _, err := exec.LookPath("apt-get"); err != nil || !ok {
		return missing
	}
	if err := aptInstall(ctx, out, prefix); err != nil {
		return fmt.Errorf("install PostgreSQL: %w", err)
	}
	_, err := findPostgres(ctx, 0)
	return err
}

// elevated says how to run a command as root without being asked for anything.
func elevated(ctx context.Context) (prefix []string, ok bool) {
	if os.Geteuid() == 0 {
		return nil, true
	}
	return []string{"sudo", "-n"}, exec.CommandContext(ctx, "sudo", "-n", "true").Run() == nil
}

// aptInstall tries with the package lists that are there first: a machine that
// has them needs no network but for the packages, a fresh image has none.
func aptInstall(ctx context.Context, out io.Writer, prefix []string) error {
	run := func(command string) error {
		args := slices.Concat(prefix, []string{"env", "DEBIAN_FRONTEND=noninteractive"}, strings.Fields(command))
		fmt.Fprintln(out, strings.Join(args, " "))
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Stdout, cmd.Stderr = out, out
		return cmd.Run()
	}
	if run(install) == nil {
		return nil
	}
	if err := run("apt-get update"); err != nil {
		return fmt.Errorf("apt-get update: %w", err)
	}
	if err := run(install); err != nil {
		return fmt.Errorf("%s: %w", install, err)
	}
	return nil
}

package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

func (p *Postgres) data() string { return dataDir(p.cfg.Dir) }

// dataDir is where the cluster lives, below the directory that is locked.
func dataDir(dir string) string { return filepath.Join(dir, "data") }

// dataVersion is the major version that made the cluster, 0 where there is none.
func dataVersion(data string) int {
	text, _ := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	major, _ := strconv.Atoi(string(bytes.TrimSpace(text)))
	return major
}

// initdb creates the cluster beside its place and then renames it, so that one
// which was killed on the way is never taken for a cluster.
func (p *Postgres) initdb(ctx context.Context) error {
	fresh := p.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove unfinished cluster: %w", err)
	}
	args := []string{"-D", fresh, "-U", role, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"}
	if p.cfg.Ephemeral {
		args = append(args, "--no-sync")
	} else {
		args = append(args, "--data-checksums")
	}
	out, err := p.command(ctx, "initdb", args...).CombinedOutput()
	if err != nil && len(out) == 0 { // it did not even start
		return fmt.Errorf("initdb: %w", p.explain(err))
	}
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, reason(out))
	}
	return os.Rename(fresh, p.data())
}

// clear stops what a killed predecessor left running and removes what it left
// lying: a postmaster.pid whose number now belongs to a stranger would stop us.
func (p *Postgres) clear(ctx context.Context) error {
	if err := reap(ctx, p.data()); err != nil {
		return err
	}
	for _, stale := range []string{filepath.Join(p.data(), "postmaster.pid"), filepath.Join(p.cfg.Dir, ".s.PGSQL.5432.lock")} {
		if err := os.Remove(stale); err == nil {
			p.cfg.Logger.InfoContext(ctx, "recovering a server that was not stopped", "file", stale)
		} else if !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove stale file: %w", err)
		}
	}
	return nil
}

// settings are those of the command line: the cluster's own files stay initdb's.
func (p *Postgres) settings() []string {
	set := []string{
		"listen_addresses=",
		"unix_socket_directories=" + p.cfg.Dir,
		"unix_socket_permissions=0700",
		"max_connections=" + strconv.Itoa(maxConnections),
		"timezone=UTC",
		"log_timezone=UTC",
	}
	if p.cfg.TLS != nil {
		set = append(set, "listen_addresses="+p.cfg.TLS.Address, "ssl=on", "ssl_cert_file="+p.certFile(), "ssl_key_file="+p.keyFile())
	}
	if p.cfg.Ephemeral {
		set = append(set,
			"fsync=off", "synchronous_commit=off", "full_page_writes=off",
			"wal_level=minimal", "max_wal_senders=0", "checkpoint_timeout=1h",
			"autovacuum=off",                  // it would sit in a template that is being copied
			"dynamic_shared_memory_type=mmap") // in the cluster, not in /dev/shm, where a killed server would leave it
	}
	var args []string
	for _, s := range set {
		args = append(args, "-c", s)
	}
	return args
}

func (p *Postgres) certFile() string { return filepath.Join(p.cfg.Dir, "server.crt") }
func (p *Postgres) keyFile() string  { return filepath.Join(p.cfg.Dir, "server.key") }

// writeKeyPair puts the certificate where the server reads it, which takes no key
// that is another account's.
func (p *Postgres) writeKeyPair() error {
	if p.cfg.TLS == nil {
		return nil
	}
	for path, text := range map[string][]byte{p.certFile(): p.cfg.TLS.Certificate, p.keyFile(): p.cfg.TLS.Key} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
		if p.account == nil {
			continue
		}
		if err := os.Chown(path, int(p.account.Uid), int(p.account.Gid)); err != nil {
			return err
		}
	}
	return nil
}

package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// role is the superuser that initdb creates. Who reaches the socket is it.
	role = "sluice"
	// maxConnections lets many tests, or a gateway and a worker, share a server.
	maxConnections = 200
	// maxSocketDir is sun_path (108 bytes, unix(7)) less "/.s.PGSQL.5432" and NUL.
	maxSocketDir = 108 - len("/.s.PGSQL.5432") - 1
)

// PostgresConfig says where a server lives and how much its data is worth.
type PostgresConfig struct {
	// Dir holds the cluster, its log, its socket and its lock, and is created
	// where missing. At most 93 bytes long, for the socket's sake. As root, the
	// account postgres must be able to reach it.
	Dir string
	// Ephemeral gives up durability, checkpoints and vacuum for speed: for data
	// that nobody needs after the process.
	Ephemeral bool
	// TLS has the server listen by TCP too. Nil: on its unix socket only.
	TLS *PostgresTLS
	// Logger is told what was found and done at the start; nil means nobody.
	Logger *slog.Logger
}

// PostgresTLS is for connections from this machine, which may be made by TLS.
type PostgresTLS struct {
	// Address is one of 127.0.0.0/8; the port is 5432.
	Address string
	// Certificate and Key are in PEM.
	Certificate, Key []byte
}

// DSN is the URL for pgx of the database db, with every right on it; Dir must be
// absolute. It stays the same as long as Dir does.
func (c PostgresConfig) DSN(db string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(role),
		Path:     "/" + db,
		RawQuery: url.Values{"host": {c.Dir}, "sslmode": {"disable"}}.Encode(),
	}
	return u.String()
}

// Postgres is a running server: one child process tree, on a unix socket only.
type Postgres struct {
	cfg     PostgresConfig
	bin     binaries
	account *syscall.Credential // nil: our own
	lock    *os.File
	proc    *Process
	done    chan struct{}
}

// StartPostgres starts a server on Dir and returns when it accepts connections.
// The first start creates the cluster (1 s). A directory that another process
// manages is [ErrInUse]; a server that a killed process left there is stopped
// first, and what was committed is recovered. ctx bounds the start only.
//
// PostgreSQL refuses to run as root, so root's server runs as postgres.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	p, err := newPostgres(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	if err := p.start(ctx); err != nil {
		p.lock.Close()
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	go p.release()
	return p, nil
}

// newPostgres finds the binaries and takes the directory, and starts nothing.
func newPostgres(ctx context.Context, cfg PostgresConfig) (_ *Postgres, err error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, err
	}
	if len(cfg.Dir) > maxSocketDir {
		return nil, fmt.Errorf("%w: %s is longer than %d bytes", ErrPathTooLong, cfg.Dir, maxSocketDir)
	}
	p := &Postgres{cfg: cfg, done: make(chan struct{})}
	if p.bin, err = findPostgres(ctx, dataVersion(p.data())); err != nil {
		return nil, err
	}
	if p.account, err = serverAccount(); err != nil {
		return nil, err
	}
	if err := ownDir(cfg.Dir, p.account); err != nil {
		return nil, err
	}
	p.lock, err = LockDir(cfg.Dir)
	return p, err
}

// DSN is [PostgresConfig.DSN] of its configuration.
func (p *Postgres) DSN(db string) string { return p.cfg.DSN(db) }

// CreateDatabase creates the database db; one that exists is left as it is.
func (p *Postgres) CreateDatabase(ctx context.Context, db string) error {
	conn, err := pgx.Connect(ctx, p.DSN("postgres"))
	if err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{db}.Sanitize())
	const duplicateDatabase = "42P04"
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == duplicateDatabase {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	return nil
}

// PID is the server's process id.
func (p *Postgres) PID() int { return p.proc.PID() }

// Done is closed when the server has ended, asked to or not; its directory can
// then be started on again.
func (p *Postgres) Done() <-chan struct{} { return p.done }

// release gives the directory back when the server has ended.
func (p *Postgres) release() {
	<-p.proc.Done()
	p.lock.Close()
	close(p.done)
}

// Stop ends the server: cleanly, with connections cut and everything on disk, as
// long as ctx lasts, then by force, which loses nothing committed either.
func (p *Postgres) Stop(ctx context.Context) error {
	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} // fast shutdown, then immediate
	if p.cfg.Ephemeral {
		signals = signals[1:] // no checkpoint of what is thrown away
	}
	if err := p.proc.Stop(ctx, signals...); err != nil {
		return err
	}
	<-p.done
	return nil
}

// start brings the cluster up from whatever state its directory is in.
func (p *Postgres) start(ctx context.Context) error {
	if dataVersion(p.data()) == 0 {
		if err := p.initdb(ctx); err != nil {
			return err
		}
	} else if err := p.clear(ctx); err != nil {
		return err
	}
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	if err := p.writeKeyPair(); err != nil {
		return fmt.Errorf("write certificate: %w", err)
	}
	// Not ctx's: the server lives until it is stopped.
	cmd := p.command(context.WithoutCancel(ctx), "postgres", append([]string{"-D", p.data()}, p.settings()...)...)
	cmd.Stdout, cmd.Stderr = log, log
	orphaned := syscall.SIGINT
	if p.cfg.Ephemeral {
		orphaned = syscall.SIGQUIT
	}
	if p.proc, err = StartProcess(cmd, orphaned); err != nil {
		return p.explain(err)
	}
	return p.awaitReady(ctx)
}

func (p *Postgres) logFile() string { return filepath.Join(p.cfg.Dir, "postgres.log") }

// readyPoll is how often the server's own word for ready is looked up.
const readyPoll = 5 * time.Millisecond

// awaitReady returns when the server has written "ready" as the eighth line of
// its postmaster.pid, which needs no connection and no log reading (pidfile.h).
func (p *Postgres) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		select {
		case <-p.proc.Done():
			log, _ := os.ReadFile(p.logFile())
			return fmt.Errorf("server ended while starting: %s (log: %s)", reason(log), p.logFile())
		case <-ctx.Done():
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopStep)
			defer cancel()
			return errors.Join(ctx.Err(), p.proc.Stop(stop, syscall.SIGQUIT))
		case <-tick.C:
			pidfile, _ := os.ReadFile(filepath.Join(p.data(), "postmaster.pid"))
			l := strings.Split(string(pidfile), "\n")
			if len(l) >= 8 && l[0] == strconv.Itoa(p.PID()) && strings.TrimSpace(l[7]) == "ready" {
				return nil
			}
		}
	}
}

// command runs one of the server's programs in the directory, as its account.
func (p *Postgres) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin.dir, name), args...)
	cmd.Dir = p.cfg.Dir
	cmd.Env = []string{"PATH=" + p.bin.dir + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=" + p.cfg.Dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.account}
	return cmd
}

// explain names the cause that the bare error of a refused directory hides.
func (p *Postgres) explain(err error) error {
	if p.account != nil && errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%s %w: %w", p.cfg.Dir, ErrUnreachable, err)
	}
	return err
}

// reason picks the line of a program's output that says why it ended.
func reason(output []byte) string {
	var last, cause string
	for line := range strings.Lines(string(output)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		last = line
		if strings.Contains(line, "FATAL:") || strings.Contains(line, "PANIC:") || strings.Contains(line, "error:") {
			cause = line
		}
	}
	if cause != "" {
		return cause
	}
	return last
}

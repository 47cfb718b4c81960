package doctor

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sluice/internal/scope"
	"sluice/migrations"
)

const (
	// leastPostgres is server_version_num of 15.0.
	leastPostgres = 150000
	// eventTimeout is what a notification gets to arrive; within a session it is
	// a millisecond.
	eventTimeout = 5 * time.Second
)

// Checks of the database, in their order.
const (
	reach    = "database: reach"
	role     = "database: role"
	migrated = "database: migrations"
	clock    = "database: clock"
	events   = "database: events"
)

func (l *look) database(ctx context.Context) {
	var version string
	var number int
	err := l.cfg.Pool.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('server_version_num')::int`).Scan(&version, &number)
	switch {
	case err != nil:
		l.add(reach, Fail, err.Error(), unreachable(err))
		l.skip("the database is not reached", role, migrated, clock, events)
		return
	case number < leastPostgres:
		l.add(reach, Fail, "PostgreSQL "+version, "Sluice needs PostgreSQL 15 or later")
	default:
		l.add(reach, OK, "PostgreSQL "+version, "")
	}
	if l.role(ctx) {
		l.migrated(ctx)
	} else {
		l.skip("Sluice's roles are not there for the user", migrated)
	}
	ahead, err := l.databaseSkew(ctx)
	l.skew(clock, "PostgreSQL", ahead, err)
	l.events(ctx)
}

// unreachable says what to do about a connection that could not be made.
func unreachable(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "28P01", "28000": // invalid_password, invalid_authorization_specification
			return "correct user and password in SLUICE_DATABASE_URL, or allow them in pg_hba.conf"
		case "3D000": // invalid_catalog_name
			return "create the database that SLUICE_DATABASE_URL names"
		case "42501": // insufficient_privilege
			return "grant the user CONNECT on the database"
		}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "let sslrootcert in SLUICE_DATABASE_URL name the authority of the server's certificate, and its host be one that the certificate is for"
	}
	return "see that PostgreSQL runs and that host and port in SLUICE_DATABASE_URL lead to it from this machine"
}

func (l *look) migrated(ctx context.Context) {
	if err := migrations.Check(ctx, scope.Over(l.cfg.Pool, scope.System)); err != nil {
		l.add(migrated, Fail, err.Error(), "run: sluice migrate up")
		return
	}
	l.add(migrated, OK, "all applied", "")
}

// role asks whether the user may become what Sluice's transactions run as, and
// whether row-level security would hold where one of them did not. It returns false
// where it may not.
func (l *look) role(ctx context.Context) bool {
	var free bool
	var user string
	var missing, loose []string
	err := l.cfg.Pool.QueryRow(ctx, `
		SELECT current_user, (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user),
		  COALESCE((SELECT array_agg(r ORDER BY r) FROM unnest($1::text[]) AS r
		    WHERE NOT COALESCE((SELECT pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = r), false)), '{}'),
		  COALESCE((SELECT array_agg(rolname::text ORDER BY rolname) FROM pg_roles WHERE rolname = ANY($1) AND (rolsuper OR rolbypassrls)), '{}')`,
		scope.Roles(),
	).Scan(&user, &free, &missing, &loose)
	switch {
	case err != nil:
		l.add(role, Fail, err.Error(), "see the check before it")
	case len(missing) > 0:
		list := strings.Join(missing, ", ")
		l.add(role, Fail, fmt.Sprintf("user %s may not become %s", user, list),
			"run sluice migrate up, or have an administrator apply migrations/grants/roles.sql and then: GRANT "+list+" TO "+user)
	case len(loose) > 0:
		l.add(role, Fail, "row-level security does not hold "+strings.Join(loose, ", "), "ALTER ROLE ... NOSUPERUSER NOBYPASSRLS")
	case free:
		l.add(role, Warn, "row-level security does not hold user "+user, "a user that is a member of Sluice's roles and nothing else is enough, and can do less harm")
		return true
	default:
		l.add(role, OK, "user "+user, "")
		return true
	}
	return false
}

// databaseSkew returns how far the database's clock is ahead, as of the middle of
// the question.
func (l *look) databaseSkew(ctx context.Context) (time.Duration, error) {
	var theirs time.Time
	asked := time.Now()
	if err := l.cfg.Pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&theirs); err != nil {
		return 0, err
	}
	return theirs.Sub(asked.Add(time.Since(asked) / 2)), nil
}

// events listens on one session and notifies on another, as gateways and workers
// do: a pooler that hands out sessions by transaction loses what is said.
func (l *look) events(ctx context.Context) {
	const fix = "let SLUICE_DATABASE_URL lead to PostgreSQL itself, or to a pooler in session mode"
	conn, err := pgx.ConnectConfig(ctx, l.cfg.Pool.Config().ConnConfig)
	if err != nil {
		l.add(events, Fail, err.Error(), "see the check before it")
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	said := rand.Text()
	began := time.Now()
	if _, err = conn.Exec(ctx, `LISTEN sluice_doctor`); err == nil {
		_, err = l.cfg.Pool.Exec(ctx, `SELECT pg_notify('sluice_doctor', $1)`, said)
	}
	bounded, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	for err == nil {
		n, waitErr := conn.WaitForNotification(bounded)
		if waitErr == nil && n.Payload == said {
			l.add(events, OK, fmt.Sprintf("heard after %s", time.Since(began).Round(time.Millisecond)), "")
			return
		}
		err = waitErr // another doctor's is passed over
	}
	l.add(events, Fail, "a notification did not arrive: "+err.Error(), fix)
}

// Package scope has every statement run as a role of Postgres that row-level
// security holds, for one tenant or for the system.
//
// Role and tenant are set for one transaction, in the round trip that begins it,
// and Postgres takes them back at its end, however it ends. So a connection carries
// nothing over to whoever has it next, in our pool or in a pooler's. It does not
// know what is asked: the rights are in migrations/grants, the policies in
// migrations.
package scope

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Roles of Postgres. The login role must be able to set them, and is none of them.
const (
	tenantRole = "sluice_tenant"
	workerRole = "sluice_worker"
	systemRole = "sluice_system"
	queueRole  = "sluice_queue"
	eraserRole = "sluice_eraser"
)

// Roles returns all of them.
func Roles() []string { return []string{eraserRole, queueRole, systemRole, tenantRole, workerRole} }

// tenantSetting is what the policies compare the column tenant with.
const tenantSetting = "sluice.tenant"

// ErrForeign is returned, before anything is asked, for a scope of another tenant
// than the one that the context is bound to, and for one without a tenant that
// needs one.
var ErrForeign = errors.New("scope: not this tenant's")

// Scope says as whom a transaction runs. The zero Scope runs nothing.
type Scope struct{ role, tenant string }

// System sees all tenants' rows of the tables that sweeps, recovery and look-ups need.
var System = Scope{role: systemRole}

// Tenant is who asks by one of the doors: it sees one tenant's rows.
func Tenant(tenant string) Scope { return Scope{tenantRole, tenant} }

// Worker is an attempt at one tenant's job.
func Worker(tenant string) Scope { return Scope{workerRole, tenant} }

// Eraser ends all that one tenant has.
func Eraser(tenant string) Scope { return Scope{eraserRole, tenant} }

// Of is Tenant, or System where none is named: operators' commands ask for all.
func Of(tenant string) Scope {
	if tenant == "" {
		return System
	}
	return Tenant(tenant)
}

type boundKey struct{}

// Bind returns a context in which no other tenant's scope does anything. System is
// not bound: what it may is all that is left to one who asks for it by mistake.
func Bind(ctx context.Context, tenant string) context.Context {
	return context.WithValue(ctx, boundKey{}, tenant)
}

// admit says whether the scope may be entered in that context.
func (s Scope) admit(ctx context.Context) error {
	bound, isBound := ctx.Value(boundKey{}).(string)
	switch {
	case s.role == "", s.role != systemRole && s.tenant == "":
		return fmt.Errorf("%w: no tenant is named", ErrForeign)
	case s.role != systemRole && isBound && s.tenant != bound:
		return ErrForeign
	}
	return nil
}

// enterSQL enters a scope until the end of the transaction.
const enterSQL = `SELECT set_config('role', $1, true), set_config('` + tenantSetting + `', $2, true)`

// begin is enterSQL behind BEGIN, as one message. The tenant is in hex, so that no
// setting of the server's tells how it is quoted.
func (s Scope) begin() string {
	return fmt.Sprintf(`BEGIN; SELECT set_config('role', '%s', true), set_config('%s', convert_from(decode('%s', 'hex'), 'UTF8'), true)`,
		s.role, tenantSetting, hex.EncodeToString([]byte(s.tenant)))
}

// DB runs statements and transactions in one scope. It is what sqlc's queries and
// pgx.BeginFunc take, and holds nothing.
type DB struct {
	pool  *pgxpool.Pool
	scope Scope
}

// Over returns the DB of a scope.
func Over(pool *pgxpool.Pool, s Scope) DB { return DB{pool, s} }

// Begin begins a transaction in the scope.
func (d DB) Begin(ctx context.Context) (pgx.Tx, error) {
	if err := d.scope.admit(ctx); err != nil {
		return nil, err
	}
	return d.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: d.scope.begin()})
}

// Exec runs one statement, a transaction of its own.
func (d DB) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	results, err := d.send(ctx, sql, args)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := results.Exec()
	if ended := results.Close(); err == nil {
		err = ended
	}
	return tag, err
}

// Query runs one statement, a transaction of its own, which ends when its rows are
// read or closed.
func (d DB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	results, err := d.send(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	read, err := results.Query()
	if err != nil {
		_ = results.Close() // says the same
		return nil, err
	}
	return &rows{Rows: read, results: results}, nil
}

// QueryRow is Query of the first row. Its errors are Scan's.
func (d DB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	read, err := d.Query(ctx, sql, args...)
	return row{rows: read, err: err}
}

// send sends both statements in one round trip. Without a BEGIN they are one
// transaction all the same, which ends with the message behind them.
func (d DB) send(ctx context.Context, sql string, args []any) (pgx.BatchResults, error) {
	if err := d.scope.admit(ctx); err != nil {
		return nil, err
	}
	batch := new(pgx.Batch)
	batch.Queue(enterSQL, d.scope.role, d.scope.tenant)
	batch.Queue(sql, args...)
	results := d.pool.SendBatch(ctx, batch)
	if _, err := results.Exec(); err != nil {
		_ = results.Close() // says the same
		return nil, err
	}
	return results, nil
}

// QueuePool makes cfg's connections those of the queue's library: sessions of its
// role, because its transactions are its own.
func QueuePool(cfg *pgxpool.Config) {
	connected := cfg.AfterConnect
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if connected != nil {
			if err := connected(ctx, conn); err != nil {
				return err
			}
		}
		_, err := conn.Exec(ctx, "SET ROLE "+queueRole)
		return err
	}
}

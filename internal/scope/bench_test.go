package scope_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/internal/devstack/devtest"
	"sluice/internal/scope"
)

// What a scope costs a read by primary key, and a transaction of two statements.
func BenchmarkScope(b *testing.B) {
	pool := devtest.Database(b)
	if _, err := pool.Exec(b.Context(), rows[0].sql, "acme"); err != nil {
		b.Fatal(err)
	}
	type database interface {
		Begin(context.Context) (pgx.Tx, error)
		QueryRow(context.Context, string, ...any) pgx.Row
	}
	const sql = `SELECT state FROM jobs WHERE tenant = $1 AND id = $2`
	for name, db := range map[string]database{"none": pool, "tenant": scope.Over(pool, scope.Tenant("acme"))} {
		b.Run("read/"+name, func(b *testing.B) {
			for b.Loop() {
				if err := db.QueryRow(b.Context(), sql, "acme", "job_acme").Scan(new(string)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("transaction/"+name, func(b *testing.B) {
			for b.Loop() {
				err := pgx.BeginFunc(b.Context(), db, func(tx pgx.Tx) error {
					for range 2 {
						if err := tx.QueryRow(b.Context(), sql, "acme", "job_acme").Scan(new(string)); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

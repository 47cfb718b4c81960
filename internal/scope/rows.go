package scope

import "github.com/jackc/pgx/v5"

// rows are a statement's. Closing them ends its transaction, whose error is theirs.
type rows struct {
	pgx.Rows

	results pgx.BatchResults
	ended   error
}

// Next closes the rows behind the last one, as pgx's own do.
func (r *rows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

// Close may be called again.
func (r *rows) Close() {
	r.Rows.Close()
	if r.results != nil {
		r.ended = r.results.Close()
		r.results = nil
	}
}

// Err is the statement's error, or that of the end of its transaction.
func (r *rows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return err
	}
	return r.ended
}

// row is the first of rows, or why there are none.
type row struct {
	rows pgx.Rows
	err  error
}

// Scan reads the row and ends its transaction; no row is pgx.ErrNoRows.
func (r row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	r.rows.Close()
	return r.rows.Err()
}

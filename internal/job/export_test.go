package job

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// StepTx asks for a bare step, so that a test can try every pair of states. It
// sets what the schema wants of the new state.
func (s *Store) StepTx(ctx context.Context, tx pgx.Tx, id string, to State) error {
	_, err := s.step(ctx, tx, change{id: id, to: to, edit: func(j *row) {
		size, crc := int64(0), int64(0)
		switch to {
		case UploadComplete:
			j.SizeBytes, j.Crc64, j.ReferenceDate = &size, &crc, dateOf(j.Clock)
		case InProgress:
			j.claim("test", s.expiry)
		case Failed, Aborted:
			j.fail(Error{Code: "test", Message: "Test."}, true)
		}
	}})
	return err
}

// Held is the time that the import's row says, or may say since the last renewal.
func (i *Import) Held() time.Time { return i.held[len(i.held)-1] }

package job

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"go.jetify.com/typeid"
)

const idPrefix = "job"

// NewID returns a new job id: "job_" and the 26 characters that a TypeID makes
// of a UUIDv7 (RFC 9562): 48 bits of milliseconds, so that ids sort by creation,
// and 74 bits from crypto/rand, so that they cannot be guessed. Ids made within
// the same millisecond sort at random.
func NewID() string { return newID(idPrefix) }

// newID is NewID of another prefix.
func newID(prefix string) string {
	var u [16]byte
	_, _ = rand.Read(u[6:]) // never fails: crypto/rand ends the program instead
	ms := time.Now().UnixMilli()
	binary.BigEndian.PutUint16(u[:2], uint16(ms>>32))
	binary.BigEndian.PutUint32(u[2:6], uint32(ms))
	u[6] = u[6]&0x0f | 0x70 // version 7
	u[8] = u[8]&0x3f | 0x80 // variant 10
	return typeid.Must(typeid.FromUUIDBytesWithPrefix(prefix, u[:])).String()
}

// ValidID reports whether id has the form that NewID makes. It says nothing
// about whether there is such a job.
func ValidID(id string) bool { return validID(idPrefix, id) }

func validID(prefix, id string) bool {
	t, err := typeid.FromString(id)
	return err == nil && t.Prefix() == prefix
}

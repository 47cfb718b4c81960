package drop

import (
	"fmt"
	"strings"

	"sluice/internal/job"
)

// Area is a part of a bucket that a tenant may watch by itself: Sluice's own
// credentials read every bucket, and so would anybody who may name one.
type Area struct {
	Tenant, Bucket string
	Prefix         string // end it in a slash, or drops/acme lets drops/acme2 be watched
}

// ParseArea reads "TENANT=BUCKET/PREFIX"; without a tenant it is the default one's,
// without a prefix the whole bucket.
func ParseArea(text string) (Area, error) {
	tenant, place, found := strings.Cut(text, "=")
	if !found {
		tenant, place = job.DefaultTenant, text
	}
	bucket, prefix, _ := strings.Cut(place, "/")
	if tenant == "" || bucket == "" {
		return Area{}, fmt.Errorf("%q is not a place such as TENANT=BUCKET/PREFIX or BUCKET", text)
	}
	return Area{Tenant: tenant, Bucket: bucket, Prefix: prefix}, nil
}

// Holds tells whether all that the watch reads and writes is in the area.
func (a Area) Holds(d Draft) bool {
	return d.Tenant == a.Tenant && d.Bucket == a.Bucket && strings.HasPrefix(d.Prefix, a.Prefix) &&
		(d.After != Move || strings.HasPrefix(d.MoveTo, a.Prefix))
}

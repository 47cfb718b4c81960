package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/blob"
)

const hook = "hook: bucket events"

// hook writes a probe into each place that is watched, and waits until a gateway
// has repeated that it was told of it: so the bucket sends its events, they reach a
// gateway, and the secret is the right one. A place that sends none works, later.
func (l *look) hook(ctx context.Context) {
	if l.cfg.Watched == nil {
		l.skip("SLUICE_HOOK_SECRET is not set here, so no events are taken: objects are found by listing", hook)
		return
	}
	places, err := l.places(ctx)
	if err != nil {
		l.skip("not tried, for what is watched could not be read: "+err.Error(), hook)
		return
	}
	if len(places) == 0 {
		l.skip("nothing is watched, so there is no bucket to try", hook)
		return
	}
	bounded, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(bounded, l.cfg.Pool.Config().ConnConfig)
	if err != nil {
		l.skip("not tried: "+err.Error(), hook)
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{l.cfg.Heard}.Sanitize()); err != nil {
		l.skip("not tried, for nobody could be listened to: "+err.Error(), hook)
		return
	}
	for _, p := range places {
		l.probe(ctx, conn, p)
	}
}

func (l *look) places(ctx context.Context) ([]Place, error) {
	bounded, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return l.cfg.Watched(bounded)
}

// probe tries one place.
func (l *look) probe(ctx context.Context, conn *pgx.Conn, p Place) {
	const fix = "have the bucket send s3:ObjectCreated:* to /hooks/s3 of a gateway that runs, with SLUICE_HOOK_SECRET; until then objects there are found by listing"
	ctx, done := context.WithTimeout(ctx, checkTimeout+l.cfg.EventWait)
	defer done()
	check, bucket := "hook: "+p.Bucket+"/"+p.Prefix, l.cfg.Bucket.Other(p.Bucket)
	if _, err := bucket.Put(ctx, p.Probe, nil); err != nil {
		l.skip("not tried, for a probe could not be written: "+err.Error(), check)
		return
	}
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, l.cfg.EventWait)
	defer cancel()
	var err error
	for heard := false; !heard && err == nil; {
		n, waitErr := conn.WaitForNotification(bounded)
		heard, err = waitErr == nil && n.Payload == p.Bucket+"/"+p.Probe, waitErr // another's is passed over
	}
	after := time.Since(began).Round(time.Millisecond)
	rest := ""
	if left := withdraw(context.WithoutCancel(ctx), bucket, p.Probe); left != nil {
		rest = "; its object is left there: " + left.Error()
	}
	if err != nil {
		l.add(check, Warn, fmt.Sprintf("no event of an object there came within %s", after)+rest, fix)
		return
	}
	l.add(check, OK, fmt.Sprintf("an event came after %s", after)+rest, "")
}

// withdraw deletes a probe, with its version where the bucket keeps such.
func withdraw(ctx context.Context, bucket *blob.Bucket, key string) error {
	bounded, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	found, err := bucket.Look(bounded, key, "")
	if err != nil || found.VersionID == "" || found.VersionID == blob.NullVersion {
		return bucket.Delete(bounded, key)
	}
	return bucket.Expunge(bounded, found.Object)
}

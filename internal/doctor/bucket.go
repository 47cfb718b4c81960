package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sluice/internal/blob"
)

// Prefixes below which Sluice keeps its objects; the doctor's own are there too,
// for rights may end at a prefix.
var prefixes = []string{"uploads/", "results/"}

const (
	reachBucket = "bucket: reach"
	clockBucket = "bucket: clock"
	lifecycle   = "bucket: lifecycle"
	// partBytes is a multipart upload's part: with one byte more there are two.
	partBytes = 8 << 20
)

// trial is one operation that Sluice needs, tried below one prefix.
type trial struct {
	name, right string // the right is what a policy calls it
	do          func(t *trials, ctx context.Context) error
}

// trials are done in turn; each builds on those before it.
type trials struct {
	bucket *blob.Bucket
	prefix string
	small  blob.Object
	keys   []string // written, to be deleted
}

func operations() []trial {
	return []trial{
		{"put", "s3:PutObject", (*trials).put},
		{"get", "s3:GetObject", (*trials).get},
		{"list", "s3:ListBucket", (*trials).list},
		{"multipart", "s3:PutObject, s3:AbortMultipartUpload and s3:ListBucketMultipartUploads", (*trials).multipart},
		{"compose", "s3:ListBucketMultipartUploads, s3:GetObject and s3:PutObject", (*trials).compose},
		{"delete", "s3:DeleteObject", (*trials).delete},
	}
}

func (l *look) bucket(ctx context.Context) {
	names := []string{clockBucket}
	for _, o := range operations() {
		names = append(names, "bucket: "+o.name)
	}
	names = append(names, lifecycle)
	if err := l.cfg.Bucket.Check(ctx); err != nil {
		l.add(reachBucket, Fail, err.Error(), bucketFix(err, "s3:ListBucket"))
		l.skip("the bucket is not reached", names...)
		return
	}
	l.add(reachBucket, OK, "bucket "+l.cfg.Bucket.Name(), "")
	ahead, err := l.cfg.Bucket.Skew(ctx)
	l.skew(clockBucket, "the S3 server", ahead, err)

	tried := make([]*trials, len(prefixes))
	for i, prefix := range prefixes {
		tried[i] = &trials{bucket: l.cfg.Bucket, prefix: prefix + ".doctor/" + rand.Text() + "/"}
	}
	for _, o := range operations() {
		l.try(ctx, o, tried)
	}
	l.lifecycle(ctx)
}

func (l *look) try(ctx context.Context, o trial, tried []*trials) {
	began, check := time.Now(), "bucket: "+o.name
	for _, t := range tried {
		if t.small.Key == "" && o.name != "put" {
			l.skip("nothing could be put below "+t.prefix, check)
			return
		}
		if err := o.do(t, ctx); err != nil {
			l.add(check, Fail, err.Error(), bucketFix(err, o.right))
			return
		}
	}
	l.add(check, OK, time.Since(began).Round(time.Millisecond).String(), "")
}

// bucketFix says what to do about an operation that failed.
func bucketFix(err error, right string) string {
	switch code := blob.Code(err); code {
	case "AccessDenied", "Forbidden", "403":
		return "allow " + right + " on the bucket and on uploads/* and results/* to the key of SLUICE_S3_ACCESS_KEY_ID"
	case "NoSuchBucket", "NotFound":
		return "create the bucket, or set SLUICE_S3_CREATE_BUCKET=true, or correct SLUICE_S3_BUCKET and SLUICE_S3_REGION"
	case "InvalidAccessKeyId", "SignatureDoesNotMatch":
		return "correct SLUICE_S3_ACCESS_KEY_ID, SLUICE_S3_SECRET_ACCESS_KEY and SLUICE_S3_REGION"
	case "RequestTimeTooSkewed":
		return "set this machine's clock, and keep it by NTP"
	case "":
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			return "let SLUICE_S3_CA name the authority of the server's certificate, and SLUICE_S3_ENDPOINT a host that it is for"
		}
		return "see that SLUICE_S3_ENDPOINT leads to the S3 server from this machine, and that nothing between them changes requests"
	default:
		return "the server answers " + code + ": see whether it supports " + right
	}
}

func (t *trials) put(ctx context.Context) (err error) {
	key := t.prefix + "put"
	t.small, err = t.bucket.Put(ctx, key, []byte("sluice doctor\n"))
	if err == nil {
		t.keys = append(t.keys, key)
	}
	return err
}

// get reads what was put, pinned to its version, and compares.
func (t *trials) get(ctx context.Context) error {
	in := t.bucket.Open(ctx, t.small)
	defer in.Close()
	body, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	if blob.CRC64(body) != t.small.CRC64 {
		return errors.New("what was read is not what was put")
	}
	return nil
}

func (t *trials) list(ctx context.Context) error {
	for o, err := range t.bucket.List(ctx, t.prefix) {
		if err != nil {
			return err
		}
		if o.Key == t.small.Key {
			return nil
		}
	}
	return errors.New("what was put is not listed")
}

// multipart writes an object in two parts, and gives another up.
func (t *trials) multipart(ctx context.Context) error {
	for _, ends := range []bool{false, true} {
		w := t.bucket.Create(ctx, t.prefix+"multipart")
		defer w.Abort()
		if _, err := w.Write(bytes.Repeat([]byte("0"), partBytes+1)); err != nil {
			return err
		}
		if !ends {
			w.Abort()
			// Abort says nothing of what it could not do: parts would stay, and be paid for.
			if err := t.bucket.Abandon(ctx, t.prefix+"multipart"); err != nil {
				return err
			}
			continue
		}
		if err := w.Close(); err != nil {
			return err
		}
		t.keys = append(t.keys, t.prefix+"multipart")
	}
	return nil
}

// compose joins objects within S3, as is done with the parts of a file.
func (t *trials) compose(ctx context.Context) error {
	key, beat := t.prefix+"compose", func(context.Context) error { return nil }
	whole, err := t.bucket.Stat(ctx, t.prefix+"multipart")
	if errors.Is(err, blob.ErrNotFound) {
		whole, err = t.small, nil // the check before this has failed, and said so
	}
	if err != nil {
		return err
	}
	objects := []blob.Object{whole, t.small}
	if whole.CRC64 == 0 { // a server that keeps no checksums: small ones are joined by hand
		objects = []blob.Object{t.small, t.small}
	}
	if _, err = t.bucket.Compose(ctx, key, beat, objects...); err != nil {
		return err
	}
	t.keys = append(t.keys, key)
	return t.bucket.Abandon(ctx, key) // as the sweep does behind a composer
}

// delete removes one object, then the others in one request, and looks whether
// they are gone.
func (t *trials) delete(ctx context.Context) error {
	if err := t.bucket.Delete(ctx, t.keys[0]); err != nil {
		return err
	}
	if err := t.bucket.Delete(ctx, t.keys...); err != nil {
		return err
	}
	for o, err := range t.bucket.List(ctx, t.prefix) {
		if err != nil || slices.Contains(t.keys, o.Key) {
			return errors.Join(err, fmt.Errorf("%s is still listed", o.Key))
		}
	}
	return nil
}

// lifecycle looks for rules of the bucket that take away what is needed.
func (l *look) lifecycle(ctx context.Context) {
	rules, err := l.cfg.Bucket.Lifecycle(ctx)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		l.add(lifecycle, OK, "this server has no lifecycle rules", "")
		return
	case blob.Code(err) == "AccessDenied":
		l.add(lifecycle, Warn, "the rules may not be read", "allow s3:GetLifecycleConfiguration to this key for the time of the check")
		return
	case err != nil:
		l.add(lifecycle, Fail, err.Error(), bucketFix(err, "s3:GetLifecycleConfiguration"))
		return
	}
	var harmful []string
	for _, r := range rules {
		if why := l.harm(r); why != "" {
			harmful = append(harmful, fmt.Sprintf("rule %q %s", r.ID, why))
		}
	}
	if harmful != nil {
		l.add(lifecycle, Fail, strings.Join(harmful, "; "),
			"take uploads/ and results/ out of these rules; Sluice deletes by itself: see SLUICE_JOB_RETENTION and SLUICE_UPLOAD_EXPIRY")
		return
	}
	l.add(lifecycle, OK, fmt.Sprintf("%d rules, none of them harmful", len(rules)), "")
}

// harm says what a rule takes away too early, or "".
func (l *look) harm(r blob.Rule) string {
	const day = 24 * time.Hour
	if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(p, r.Prefix) || strings.HasPrefix(r.Prefix, p) }) {
		return ""
	}
	switch {
	case r.Expires && (l.cfg.Keep == 0 || time.Duration(r.ExpireDays)*day <= l.cfg.Keep):
		return fmt.Sprintf("deletes objects below %q before Sluice needs them no more", r.Prefix)
	case r.Moves:
		return fmt.Sprintf("moves objects below %q to a storage class from which they may not be readable at once", r.Prefix)
	case r.AbortDays == 1: // a job may last a day
		return fmt.Sprintf("gives up multipart uploads below %q after a day, as long as a job may last: make it 7", r.Prefix)
	}
	return ""
}

package drop_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"sluice/internal/drop"
	"sluice/internal/job"
)

// notifications as their senders write them, and what they hint at.
var notifications = map[string]struct {
	text string
	want []drop.Hint
}{
	"MinIO": {
		`{"EventName":"s3:ObjectCreated:Put","Key":"drops/in/a b.csv","Records":[{"eventVersion":"2.0","eventSource":"minio:s3","awsRegion":"","eventTime":"2026-01-31T08:00:00.000Z","eventName":"s3:ObjectCreated:Put","userIdentity":{"principalId":"x"},"s3":{"s3SchemaVersion":"1.0","configurationId":"Config","bucket":{"name":"drops","ownerIdentity":{"principalId":"x"},"arn":"arn:aws:s3:::drops"},"object":{"key":"in%2Fa+b%2Bc.csv","size":5,"eTag":"x","contentType":"text/csv","versionId":"v1","sequencer":"1"}},"source":{"host":"127.0.0.1"}}]}`,
		[]drop.Hint{{Bucket: "drops", Key: "in/a b+c.csv", VersionID: "v1"}},
	},
	"AWS": {
		`{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:CompleteMultipartUpload","s3":{"bucket":{"name":"drops"},"object":{"key":"in/%C3%A4.csv","size":1024,"eTag":"d41d8"}}},{"eventSource":"aws:s3","s3":{"bucket":{"name":"drops"},"object":{"key":"in/b.csv"}}}]}`,
		[]drop.Hint{{Bucket: "drops", Key: "in/ä.csv"}, {Bucket: "drops", Key: "in/b.csv"}},
	},
	"EventBridge": {
		`{"version":"0","detail-type":"Object Created","source":"aws.s3","detail":{"version":"0","bucket":{"name":"drops"},"object":{"key":"in/a+b.csv","size":5,"etag":"x","version-id":"v2"},"reason":"PutObject"}}`,
		[]drop.Hint{{Bucket: "drops", Key: "in/a+b.csv", VersionID: "v2"}},
	},
	"AWS's test":         {`{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-01-31T08:00:00.000Z","Bucket":"drops"}`, nil},
	"no records":         {`{"Records":[]}`, nil},
	"a record elsewhere": {`{"Records":[{"eventSource":"aws:sns"}]}`, nil},
}

func TestParseHints(t *testing.T) {
	t.Parallel()
	for name, n := range notifications {
		if got, err := drop.ParseHints([]byte(n.text)); err != nil || !slices.Equal(got, n.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, text := range []string{``, `[]`, `null`, `{}`, `{"Records":{}}`, `{"Records":[{"s3":{"object":{"key":"%zz"}}}]}`, `x`} {
		if got, err := drop.ParseHints([]byte(text)); !errors.Is(err, drop.ErrNoEvent) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

// Whatever comes, hints are texts of what was sent, or there are none.
func FuzzParseHints(f *testing.F) {
	for _, n := range notifications {
		f.Add([]byte(n.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		hints, err := drop.ParseHints(text)
		if err != nil && (hints != nil || !errors.Is(err, drop.ErrNoEvent)) {
			t.Fatalf("%+v, %v", hints, err)
		}
	})
}

// A hint is believed no further than that something may be there.
func TestHintsAreOnlyHints(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("in/old.csv", "before")
	w.watch(func(d *drop.Draft) { d.Suffixes, d.Since = []string{".csv", ".gz"}, time.Now().Add(-time.Hour) })
	w.exec("UPDATE watches SET since = now() + interval '1 hour' WHERE prefix = 'in/'")
	w.hint("in/old.csv")
	w.wantJobs(0)
	w.exec("UPDATE watches SET since = now() - interval '1 hour'")
	w.put("out/a.csv", "not watched")
	w.put("in/a.txt", "another suffix")
	w.put("in/folder.csv/", "")
	w.hint("out/a.csv", "in/a.txt", "in/folder.csv/", "in/gone.csv", "in/", "", "in/\x00.csv", "in/\xff.csv")
	w.must(w.store.Hint(t.Context(), []drop.Hint{{Bucket: "no-such-bucket", Key: "in/a.csv"}, {Bucket: w.own.Bucket, Key: "in/a.csv"}, {}}))
	w.wantJobs(0)
	w.put("in/a.csv", "x")
	w.must(w.store.Hint(t.Context(), []drop.Hint{{Bucket: w.bucket, Key: "in/a.csv", VersionID: "forged"}}))
	w.wantJobs(0)
	w.hint("in/a.csv", "in/a.csv")
	w.wantJobs(1)
	id := w.text("SELECT id FROM jobs")
	j, err := w.jobs.Get(t.Context(), tenant, id)
	w.must(err)
	if j.State != job.UploadComplete || j.Channel != "s3" || j.Filename != "a.csv" || j.SizeBytes != 1 || j.Digested || j.BytesTotal != 1 {
		t.Errorf("the job is %+v", j)
	}
	w.round()
	w.wantJobs(2) // the old one, too, now that it is wanted
}

// The settings that an object brings go before the watch's, each for itself.
func TestSettingsOfObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch(func(d *drop.Draft) { d.CreditConfig, d.ParseConfig = `{"watch":1}`, `{"watch":2}` })
	_, err := w.partner.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &w.bucket, Key: aws.String("in/a"), Metadata: map[string]string{
			"credit-model-config": `{"own":1.10}`, "aggregate-config": "=?UTF-8?B?eyJhIjoiw6QifQ==?=", "parse-config": " ",
		},
	})
	w.must(err)
	w.hint("in/a")
	if got := w.text("SELECT credit_model_config || aggregate_config || parse_config FROM jobs"); got != `{"own":1.10}{"a":"ä"}{"watch":2}` {
		t.Errorf("the job's settings are %s", got)
	}
}

// A file that is still being written elsewhere appears only when it is complete.
func TestMultipartAppearsComplete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch()
	key := aws.String("in/big.csv")
	begun, err := w.partner.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &w.bucket, Key: key})
	w.must(err)
	part, err := w.partner.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: &w.bucket, Key: key, UploadId: begun.UploadId, PartNumber: aws.Int32(1), Body: newBody("account_id,date,amount\n"),
	})
	w.must(err)
	w.hint(*key)
	w.round()
	w.wantJobs(0)
	_, err = w.partner.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: &w.bucket, Key: key, UploadId: begun.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{ETag: part.ETag, PartNumber: aws.Int32(1), ChecksumCRC32: part.ChecksumCRC32}}},
	})
	w.must(err)
	w.round()
	w.hint(*key)
	w.wantJobs(1)
}

// A thousand events for 500 objects, of which 200 are overwritten: shuffled,
// doubled, a tenth of them lost, some before the object is overwritten and some
// after. A listing finds what no event told of.
func TestShuffledEvents(t *testing.T) {
	t.Parallel()
	for _, versioned := range []bool{true, false} {
		t.Run(fmt.Sprint("versioned ", versioned), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if versioned {
				w.versions()
			}
			w.watch()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			chance := rand.New(rand.NewPCG(seed, 0))
			var events []drop.Hint
			last := map[string]string{}
			write := func(i, version int) {
				key := fmt.Sprintf("in/%03d.csv", i)
				id, etag := w.put(key, fmt.Sprint("content ", i, " of version ", version))
				events = append(events, drop.Hint{Bucket: w.bucket, Key: key, VersionID: id})
				last[key] = etag
			}
			sent, lost := 0, 0
			send := func(events []drop.Hint) {
				sent, lost = sent+len(events), lost+len(events)/10
				chance.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
				for _, e := range events[len(events)/10:] {
					w.must(w.store.Hint(t.Context(), []drop.Hint{e}))
				}
			}
			for i := range 500 {
				write(i, 1)
			}
			send(slices.Clone(events[:100]))
			for _, i := range chance.Perm(500)[:200] {
				write(i, 2)
			}
			late := slices.Clone(events[100:])
			for _, i := range chance.Perm(len(events))[:300] {
				late = append(late, events[i]) // doubled
			}
			send(late)
			if sent != 1000 || lost != 100 {
				t.Fatalf("%d events were sent and %d of them lost", sent, lost)
			}
			w.round()
			for key, etag := range last {
				if n := w.count("drops JOIN jobs ON jobs.id = drops.job_id WHERE object_key = $1 AND etag = $2", key, etag); n != 1 {
					t.Errorf("the last version of %s has %d jobs", key, n)
				}
			}
			if versioned {
				w.wantJobs(700)
			}
			if n := w.count("(SELECT FROM drops GROUP BY object_key, version_id, etag, size_bytes HAVING count(*) > 1) AS twice"); n != 0 {
				t.Errorf("%d versions have two jobs", n)
			}
			before := w.count("jobs")
			send(events)
			w.round()
			w.wantJobs(before)
		})
	}
}

// The ledger outlives jobs and watches: nothing that was found is found again.
func TestLedgerOutlivesItsJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	watch := w.watch()
	w.put("in/a.csv", "x")
	w.round()
	w.wantJobs(1)
	w.ends("FAILED") // and so it stays, until somebody asks
	w.round()
	w.hint("in/a.csv")
	w.wantJobs(1)
	w.exec("DELETE FROM jobs")
	w.round()
	w.hint("in/a.csv")
	w.must(w.store.Remove(t.Context(), tenant, watch.ID))
	w.watch(func(d *drop.Draft) { d.Since = drop.All })
	w.round()
	if n := w.count("jobs"); n != 0 {
		t.Errorf("%d jobs of an object that had one", n)
	}
	if keys := w.there(""); len(keys) != 1 {
		t.Errorf("the partner has %v", keys)
	}
	w.put("in/a.csv", "another version")
	w.round()
	if n := w.count("jobs"); n != 1 {
		t.Errorf("%d jobs of a second version", n)
	}
}

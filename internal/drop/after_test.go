package drop_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"sluice/internal/drop"
)

func moves(d *drop.Draft)   { d.After, d.MoveTo = drop.Move, "done/" }
func deletes(d *drop.Draft) { d.After = drop.Delete }
func tags(d *drop.Draft)    { d.After = drop.Tag }

// tag returns one of an object's tags, "" for none.
func (w *world) tag(key, name string) string {
	w.Helper()
	out, err := w.partner.GetObjectTagging(w.Context(), &s3.GetObjectTaggingInput{Bucket: &w.bucket, Key: &key})
	w.must(err)
	for _, t := range out.TagSet {
		if *t.Key == name {
			return *t.Value
		}
	}
	return ""
}

func TestTag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch(tags)
	_, err := w.partner.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &w.bucket, Key: aws.String("in/a"), Body: newBody("x"), Tagging: aws.String("theirs=1")})
	w.must(err)
	w.hint("in/a")
	id := w.text("SELECT id FROM jobs")
	w.must(w.store.Ended(t.Context(), id)) // not yet
	w.wantOutcome("in/a", "")
	w.ends("FAILED")
	w.must(w.store.Ended(t.Context(), id))
	w.must(w.store.Ended(t.Context(), id))
	w.wantOutcome("in/a", "tagged FAILED")
	w.exec("UPDATE jobs SET state = 'UPLOAD_COMPLETE', completed_at = NULL, error_code = NULL, error_message = NULL") // retried
	w.ends("JOB_COMPLETE")
	w.round()
	w.wantOutcome("in/a", "tagged JOB_COMPLETE")
	if got := []string{w.tag("in/a", "theirs"), w.tag("in/a", drop.TagState), w.tag("in/a", drop.TagJob)}; !slices.Equal(got, []string{"1", "JOB_COMPLETE", id}) {
		t.Errorf("tags are %q", got)
	}
}

// What was processed is moved or deleted, and what came in its place is not. What
// failed stays, for a retry.
func TestMoveAndDelete(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*drop.Draft){"move": moves, "delete": deletes} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.versions()
			w.watch(edit)
			w.put("in/failed", "x")
			w.hint("in/failed")
			w.ends("FAILED")
			w.put("in/a", "first")
			w.put("in/replaced", "first")
			w.hint("in/a", "in/replaced")
			w.ends("JOB_COMPLETE")
			w.put("in/replaced", "second")
			w.round()
			w.round()
			want := []string{"in/failed", "in/replaced"}
			if name == "move" {
				for _, object := range []string{"a", "replaced"} {
					want = append(want, "done/"+w.text("SELECT job_id FROM drops WHERE object_key = $1 ORDER BY id LIMIT 1", "in/"+object)+"/"+object)
				}
			}
			slices.Sort(want)
			if got := w.there(""); !slices.Equal(got, want) {
				t.Errorf("the partner has %q, want %q", got, want)
			}
			out, err := w.partner.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &w.bucket, Prefix: aws.String("in/")})
			w.must(err)
			if len(out.Versions) != 2 || len(out.DeleteMarkers) != 0 {
				t.Errorf("%d versions and %d markers are left", len(out.Versions), len(out.DeleteMarkers))
			}
			w.wantOutcome("in/a", map[string]string{"move": "moved", "delete": "deleted"}[name])
			w.wantJobs(4) // the second version has its own
		})
	}
}

// A watch that was removed, or a job that was deleted, says no more what is to be
// done; and a job that is deleted takes nothing of the partner's along.
func TestNothingIsDoneUnasked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.versions()
	watch := w.watch(deletes)
	w.put("in/a", "x")
	w.put("in/b", "x")
	w.hint("in/a", "in/b")
	w.ends("JOB_COMPLETE")
	w.exec("DELETE FROM jobs WHERE filename = 'a'")
	id := w.text("SELECT job_id FROM drops WHERE object_key = 'in/a'")
	w.must(w.store.Ended(t.Context(), id))
	w.wantOutcome("in/a", "kept: its job was deleted before")
	w.must(w.store.Remove(t.Context(), tenant, watch.ID))
	w.round()
	w.wantOutcome("in/b", "kept: its watch was removed")
	if keys := w.there(""); len(keys) != 2 {
		t.Errorf("the partner has %v", keys)
	}
}

// On a server that deletes what it should not, nothing is deleted where no version
// protects what comes in its place.
func TestUnguardedDeletes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	on := func(rw http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.Method != http.MethodDelete || r.Header.Get("If-Match") == "" {
			return false
		}
		rw.WriteHeader(http.StatusNoContent) // as if it had not read the condition
		return true
	}
	w.onS3.Store(&on)
	_, err := w.store.Add(t.Context(), drop.Draft{Tenant: tenant, Bucket: w.bucket, Prefix: "in/", After: drop.Delete})
	if err == nil || !strings.Contains(err.Error(), "versioning") {
		t.Fatalf("such a watch is added: %v", err)
	}
	w.versions()
	w.watch(deletes)
}

// The process is killed behind each step of what it does with an object: before
// the request reaches S3, or once it was done and nobody knows. Whoever goes on
// brings it to the same end, once.
func TestKilledBetweenSteps(t *testing.T) {
	t.Parallel()
	steps := map[string][]string{
		"move":   {http.MethodHead, http.MethodPut, http.MethodDelete, "record"},
		"delete": {http.MethodHead, http.MethodDelete, "record"},
		"tag":    {http.MethodHead, http.MethodGet, http.MethodPut, "record"},
	}
	for name, edit := range map[string]func(*drop.Draft){"move": moves, "delete": deletes, "tag": tags} {
		for _, step := range steps[name] {
			for _, done := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, done %v", name, step, done), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					w.versions()
					w.watch(edit)
					w.put("in/a", "content")
					w.hint("in/a")
					id := w.text("SELECT job_id FROM drops")
					w.ends("JOB_COMPLETE")
					w.killAt(step, done)
					_ = w.store.Ended(t.Context(), id)
					w.onS3.Store(nil)
					w.exec("DROP TRIGGER IF EXISTS killed ON drops")
					w.store = w.open(w.own)
					w.round()
					w.round()
					w.wantDisposed(name, id)
				})
			}
		}
	}
}

// killAt has every request of a method fail for good, after it was done or before;
// of the step "record" the ledger's.
func (w *world) killAt(step string, done bool) {
	w.Helper()
	if step == "record" {
		w.exec(`CREATE FUNCTION kill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'killed'; END $$`)
		w.exec(`CREATE TRIGGER killed BEFORE UPDATE OF outcome ON drops FOR EACH ROW EXECUTE FUNCTION kill()`)
		return
	}
	on := func(rw http.ResponseWriter, r *http.Request, s3 http.Handler) bool {
		if r.Method != step {
			return false
		}
		if done {
			s3.ServeHTTP(httptest.NewRecorder(), r)
		}
		rw.WriteHeader(http.StatusForbidden) // which the SDK does not try again
		return true
	}
	w.onS3.Store(&on)
}

func (w *world) wantDisposed(how, id string) {
	w.Helper()
	want, outcome := []string{"in/a"}, "tagged JOB_COMPLETE"
	switch how {
	case "move":
		want, outcome = []string{"done/" + id + "/a"}, "moved"
	case "delete":
		want, outcome = nil, "deleted"
	}
	if got := w.there(""); !slices.Equal(got, want) {
		w.Errorf("the partner has %q, want %q", got, want)
	}
	got := w.text("SELECT string_agg(outcome, ', ') FROM drops")
	if got != outcome && (how != "delete" || got != "gone: it was deleted or replaced before") {
		w.Errorf("outcome %q, want %q", got, outcome)
	}
	if how == "tag" && w.tag("in/a", drop.TagJob) != id {
		w.Error("the tag is missing")
	}
	w.wantJobs(1)
}

// Once its object was deleted, the same content under the same name is another
// drop, for a bucket without versions too.
func TestDroppedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.store.Add(t.Context(), drop.Draft{Tenant: tenant, Bucket: w.bucket, Prefix: "in/", After: drop.Delete})
	if err != nil && strings.Contains(err.Error(), "versioning") {
		t.Skip("this server deletes objects of buckets without versions on no condition, so none are deleted there")
	}
	w.must(err)
	for n := 1; n <= 3; n++ {
		w.put("in/daily", "the same")
		w.hint("in/daily", "in/daily")
		w.wantJobs(n)
		w.ends("JOB_COMPLETE")
		w.round()
		if keys := w.there(""); len(keys) != 0 {
			t.Fatalf("the partner has %q", keys)
		}
	}
}

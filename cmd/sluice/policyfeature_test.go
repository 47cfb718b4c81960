package main_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"

	"sluice/internal/devstack/fault"
)

// policyFeatures say what needs each right of gateway.json and worker.json: a
// feature is tried, and what a process said is returned where it was denied something.
var policyFeatures = map[string]func(c *policyCase) string{
	"gateway.json s3:ListBucket sluice":             (*policyCase).starts,
	"gateway.json s3:PutObject sluice/uploads/*":    (*policyCase).takesBytes,
	"gateway.json s3:GetObject sluice/uploads/*":    (*policyCase).goesOn,
	"gateway.json s3:DeleteObject sluice/uploads/*": (*policyCase).deletesUpload,
	"gateway.json s3:GetObject sluice/results/*":    (*policyCase).showsResults,
	"gateway.json s3:DeleteObject sluice/results/*": (*policyCase).deletesJob,

	"worker.json s3:ListBucket sluice":                     (*policyCase).starts,
	"worker.json s3:ListBucketMultipartUploads sluice":     (*policyCase).endsComposers,
	"worker.json s3:GetObject sluice/uploads/*":            (*policyCase).works,
	"worker.json s3:PutObject sluice/uploads/*":            (*policyCase).composes,
	"worker.json s3:DeleteObject sluice/uploads/*":         (*policyCase).sweepsUpload,
	"worker.json s3:AbortMultipartUpload sluice/uploads/*": (*policyCase).endsComposers,
	"worker.json s3:PutObject sluice/results/*":            (*policyCase).works,
	"worker.json s3:GetObject sluice/results/*":            (*policyCase).findsResult,
	"worker.json s3:DeleteObject sluice/results/*":         (*policyCase).sweepsResults,
	"worker.json s3:AbortMultipartUpload sluice/results/*": (*policyCase).endsAttempts,
}

// onlyAWS are rights that MinIO does not ask for, since it takes another of the same
// file for them, and the request for which AWS's reference does. That it is sent is
// what the test can see.
var onlyAWS = map[string]func(r *http.Request) bool{
	"s3:ListBucketVersions": func(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Query().Has("versions") },
	"s3:GetObjectVersionTagging": func(r *http.Request) bool {
		return r.Method == http.MethodGet && versioned(r) && r.URL.Query().Has("tagging")
	},
	"s3:PutObjectVersionTagging": func(r *http.Request) bool {
		return r.Method == http.MethodPut && versioned(r) && r.URL.Query().Has("tagging")
	},
	"s3:DeleteObjectVersion": func(r *http.Request) bool {
		return r.Method == http.MethodDelete && versioned(r) || r.Method == http.MethodPost && r.URL.Query().Has("delete")
	},
}

func versioned(r *http.Request) bool { return r.URL.Query().Get("versionId") != "" }

// try starts what has the file of r with rights in its stead, and tries what r is for.
func (c *policyCase) try(r right, rights []right) (said string) {
	c.Helper()
	gateway, worker := readPolicy(c, "gateway.json").rights("gateway.json"), readPolicy(c, "worker.json").rights("worker.json")
	feature := policyFeatures[r.String()]
	switch kind, _, _ := strings.Cut(strings.TrimSuffix(r.file, ".json"), "-"); kind {
	case "gateway":
		gateway = rights
	case "worker":
		worker = rights
	case "watch":
		gateway, worker = slices.Concat(gateway, rights), slices.Concat(worker, rights)
		feature = func(c *policyCase) string { return c.watches(r, gateway) }
	case "erase":
		worker, feature = slices.Concat(worker, rights), (*policyCase).erases
	case "doctor":
		return c.examines(rights)
	}
	if feature == nil {
		c.Fatalf("%s: the test knows no feature that needs it", r)
	}
	if said := c.start(gateway, worker); said != "" {
		return said
	}
	return feature(c)
}

const policyRow = "account_id,date,amount\nA,2024-01-01,10.00\n"

// request asks the gateway.
func (c *policyCase) request(method, path, body string, header ...string) *http.Response {
	c.Helper()
	r, err := http.NewRequestWithContext(c.Context(), method, c.gateway.url+path, strings.NewReader(body))
	c.must(err)
	r.Header.Set("Tus-Resumable", "1.0.0")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	c.must(err)
	_, err = io.Copy(io.Discard, resp.Body)
	c.must(err)
	resp.Body.Close()
	return resp
}

// create makes an upload and returns its id.
func (c *policyCase) create(length int, header ...string) string {
	c.Helper()
	if length >= 0 {
		header = append(header, "Upload-Length", fmt.Sprint(length))
	}
	resp := c.request("POST", "/files/", "", header...)
	if resp.StatusCode != http.StatusCreated {
		c.Fatalf("create: %s", resp.Status)
	}
	return path.Base(resp.Header.Get("Location"))
}

// patch sends bytes; false: they were not taken.
func (c *policyCase) patch(id string, at int, body string) bool {
	c.Helper()
	return c.request("PATCH", "/files/"+id, body, "Upload-Offset", fmt.Sprint(at), "Content-Type", "application/offset+octet-stream").StatusCode == http.StatusNoContent
}

// done is an outcome that is there already, or never will be.
func done(yes bool) func(context.Context) bool { return func(context.Context) bool { return yes } }

func (c *policyCase) sql(query string, args ...any) (n int64) {
	c.Helper()
	conn, err := pgx.Connect(c.Context(), c.database)
	c.must(err)
	defer conn.Close(c.Context())
	c.must(conn.QueryRow(c.Context(), query, args...).Scan(&n))
	return n
}

func (c *policyCase) starts() string { return "" } // it has

func (c *policyCase) takesBytes() string {
	return c.outcome("bytes to be taken", done(c.patch(c.create(len(policyRow)), 0, policyRow)))
}

// goesOn sends a few bytes and then more, which are stored with the first.
func (c *policyCase) goesOn() string {
	id := c.create(len(policyRow))
	if !c.patch(id, 0, policyRow[:10]) {
		c.Fatal("the first bytes were not taken")
	}
	return c.outcome("more bytes to be taken", done(c.patch(id, 10, policyRow[10:])))
}

func (c *policyCase) deletesUpload() string {
	id := c.create(len(policyRow))
	c.patch(id, 0, policyRow[:10])
	c.request("DELETE", "/files/"+id, "")
	return c.outcome("the bytes to be gone", done(c.objects("uploads/default/"+id) == 0))
}

// job sends a file and waits until its job has ended. denied: it will not.
func (c *policyCase) job(content string) (id, denied string) {
	c.Helper()
	id = send(c, c.gateway.url, content)
	return id, c.outcome("the job's end", func(context.Context) bool { return c.gateway.status(c, id).State == "JOB_COMPLETE" })
}

func (c *policyCase) works() string {
	_, denied := c.job(policyRow)
	return denied
}

func (c *policyCase) showsResults() string {
	id, _ := c.job(policyRow)
	return c.outcome("aggregates", done(c.request("GET", "/api/jobs/"+id+"/aggregates/", "").StatusCode == http.StatusOK))
}

func (c *policyCase) deletesJob() string {
	id, _ := c.job(policyRow)
	c.request("DELETE", "/api/jobs/"+id+"/", "")
	return c.outcome("the results to be gone", done(c.objects("results/default/"+id) == 0))
}

// objects counts those below a prefix.
func (c *policyCase) objects(prefix string) (n int) {
	c.Helper()
	for _, err := range c.bucket().List(c.Context(), prefix) {
		c.must(err)
		n++
	}
	return n
}

// composes sends a file in two uploads, which are joined.
func (c *policyCase) composes() string {
	half := len(policyRow) / 2
	var urls []string
	for _, piece := range []string{policyRow[:half], policyRow[half:]} {
		id := c.create(len(piece), "Upload-Concat", "partial")
		c.patch(id, 0, piece)
		urls = append(urls, "/files/"+id)
	}
	id := c.create(-1, "Upload-Concat", "final;"+strings.Join(urls, " "))
	return c.outcome("one object", func(context.Context) bool {
		return c.sql("SELECT count(*) FROM parts JOIN uploads ON id = upload_id WHERE id = $1 AND composers = 1 AND compose_at IS NULL", id) == 1
	})
}

// swept is an upload that has ended and been swept.
func (c *policyCase) swept() (prefix, id string) {
	c.Helper()
	id, _ = c.job(policyRow)
	if said := c.outcome("the upload to be swept", func(context.Context) bool {
		return c.sql("SELECT count(*) FROM uploads WHERE id = $1 AND compose_at IS NULL AND sweep_at IS NULL", id) == 1
	}); said != "" {
		c.Fatal(said)
	}
	return "uploads/default/" + id + "/", id
}

func (c *policyCase) sweepsUpload() string {
	prefix, id := c.swept()
	_, err := c.bucket().Put(c.Context(), prefix+"9-9", []byte("late"))
	c.must(err)
	c.sql("UPDATE uploads SET sweep_at = now() WHERE id = $1 RETURNING 1", id)
	return c.outcome("what came late to be swept", func(context.Context) bool { return c.objects(prefix+"9-9") == 0 })
}

// multipart leaves a multipart upload behind, as a process does that is killed.
func (c *policyCase) multipart(key string) {
	c.Helper()
	_, err := c.root.CreateMultipartUpload(c.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("sluice"), Key: &key})
	c.must(err)
}

func (c *policyCase) ended(key string) func(context.Context) bool {
	return func(ctx context.Context) bool {
		out, err := c.root.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: aws.String("sluice"), Prefix: &key})
		return err == nil && len(out.Uploads) == 0
	}
}

func (c *policyCase) endsComposers() string {
	prefix, id := c.swept()
	c.multipart(prefix + "1/file")
	c.sql("UPDATE uploads SET sweep_at = now(), composers = 1 WHERE id = $1 RETURNING 1", id)
	return c.outcome("the composer's upload to be ended", c.ended(prefix+"1/file"))
}

const strays = "INSERT INTO strays (job_id, tenant, sweep_at, fences) VALUES ($1, 'default', now(), '{99}') RETURNING 1"

func (c *policyCase) sweepsResults() string {
	id, _ := c.job(policyRow)
	lost := "results/default/" + id + "/99/"
	_, err := c.bucket().Put(c.Context(), lost+"rejects.csv", []byte("of a lost attempt"))
	c.must(err)
	c.sql(strays, id)
	return c.outcome("what was lost to be swept", func(context.Context) bool { return c.objects(lost) == 0 })
}

func (c *policyCase) endsAttempts() string {
	id, _ := c.job(policyRow)
	lost := "results/default/" + id + "/99/rejects.csv"
	c.multipart(lost)
	c.sql(strays, id)
	return c.outcome("the attempt's upload to be ended", c.ended(lost))
}

// findsResult has a worker look whether a result is there whose end it was not told
// of, in any of the SDK's four tries.
func (c *policyCase) findsResult() string {
	c.before.Add(fault.Rule{Times: 4, Answer: fault.Lose, Match: func(r *http.Request) bool {
		return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
	}})
	_, denied := c.job(policyRow + strings.Repeat("A,2024-01-01,"+strings.Repeat("x", 80)+"\n", 120_000)) // rejects of more than a part
	return denied
}

// erases erases a tenant of two objects, each in two versions.
func (c *policyCase) erases() string {
	tenant := "gone-" + rand.Text()
	prefixes := []string{"uploads/" + tenant + "/", "results/" + tenant + "/"}
	for _, prefix := range slices.Concat(prefixes, prefixes) {
		_, err := c.bucket().Put(c.Context(), prefix+"job_x/1-0", []byte("a version"))
		c.must(err)
	}
	if out, err := command(c, c.env, "tenants", "erase", tenant, "--yes", "--no-wait").CombinedOutput(); err != nil {
		c.Fatalf("%v: %s", err, out)
	}
	denied := c.outcome("the tenant to be erased", func(context.Context) bool {
		return c.sql("SELECT count(*) FROM erasures WHERE finished_at IS NOT NULL") == 1
	})
	for _, prefix := range prefixes {
		out, err := c.root.ListObjectVersions(c.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String("sluice"), Prefix: &prefix})
		c.must(err)
		if denied == "" && len(out.Versions)+len(out.DeleteMarkers) > 0 {
			c.Errorf("%d versions are left", len(out.Versions))
		}
	}
	return denied
}

// watches adds a watch, and drops a file.
func (c *policyCase) watches(r right, rights []right) string {
	after := strings.TrimSuffix(strings.TrimPrefix(r.file, "watch-"), ".json")
	args := []string{"watch", "add", "partner/" + c.prefix, "--after", after}
	if after == "move" {
		args = append(args, "--move-to", "done/"+c.prefix)
	}
	if out, err := command(c, c.as(rights), args...).CombinedOutput(); err != nil {
		return string(out)
	}
	_, err := c.root.PutObject(c.Context(), &s3.PutObjectInput{Bucket: aws.String("partner"), Key: aws.String(c.prefix + "a.csv"), Body: strings.NewReader(policyRow)})
	c.must(err)
	finished := func(context.Context) bool { return c.sql("SELECT count(*) FROM drops WHERE done") == 1 }
	if denied := c.outcome("the object to be disposed of", finished); denied != "" || after != "move" {
		return denied
	}
	c.sql("UPDATE drops SET done = false, gone = false, outcome = '', act_at = now() RETURNING 1") // as if nobody had been told that it was moved
	return c.outcome("the object to be found moved", finished)
}

// examines has the doctor look, and returns what it finds wrong with the bucket.
func (c *policyCase) examines(rights []right) string {
	out, _ := command(c, c.as(rights), "doctor", "--json").Output() // it fails where a check does
	var found struct {
		Checks []struct{ Check, Status, Detail, Fix string }
	}
	c.must(json.Unmarshal(out, &found))
	for _, f := range found.Checks {
		if strings.HasPrefix(f.Check, "bucket: ") && f.Status != "ok" {
			return f.Check + ": " + f.Detail + " → " + f.Fix
		}
	}
	return ""
}

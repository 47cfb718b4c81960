package main_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/jackc/pgx/v5"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
)

// erasable is an installation with tenants each of which has put a word of its own wherever one can be put.
type erasable struct {
	testing.TB
	server *server
	env    []string
	token  string // acme's, of an issuer whose name for it is a canary
	hook   string // answers 500
	temp   string
	db     *pgx.Conn
	s3     *s3.Client
	name   string // of the bucket, which keeps versions
	drops  *blob.Bucket
	begun  []string // keys of multipart uploads
}

// spread are the places of which each tenant has some: columns that hold its word, and kinds of objects.
var spread = []string{
	"access_keys.name", "access_sessions.tenant", "batched.session_id", "batches.tenant", "deliveries.webhook_id", "delivery_attempts.tenant",
	"drops.object_key", "idempotency_keys.key", "jobs.filename", "jobs.credit_model_config", "offers.account_id", "parts.object_key",
	"results.model_version", "steps.job_id", "tenant_limits.tenant", "tenant_usage.tenant", "token_uploads.tenant", "upload_tokens.tenant",
	"uploads.metadata", "watches.prefix", "webhooks.url", "river_job.args",
	"version below uploads", "version below results", "multipart upload below uploads", "multipart upload below results", "marker below results", "content",
}

func newErasable(t testing.TB) *erasable {
	t.Helper()
	c := devtest.S3Config(t)
	w := &erasable{TB: t, name: c.Bucket, temp: t.TempDir(), drops: devtest.Bucket(t), s3: s3.New(s3.Options{
		BaseEndpoint: &c.Endpoint, Region: c.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey.Reveal(), ""),
	})}
	_, err := w.s3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: &w.name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	w.must(err)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	t.Cleanup(receiver.Close)
	w.hook = receiver.URL
	issuer, token := identity(t, "canaryqzjx@example.com")
	w.token = token
	dsn := devtest.DSN(t)
	w.env = append(issuer,
		"SLUICE_DATABASE_URL="+dsn, "SLUICE_SWEEP_GRACE=1s", "SLUICE_TEMP_DIR="+w.temp, "TMPDIR="+w.temp, "SLUICE_WATCH_INTERVAL=1s", "SLUICE_WEBHOOK_ALLOW=127.0.0.0/8",
		"SLUICE_S3_ENDPOINT="+c.Endpoint, "SLUICE_S3_REGION="+c.Region, "SLUICE_S3_BUCKET="+c.Bucket,
		"SLUICE_S3_ACCESS_KEY_ID="+c.AccessKeyID, "SLUICE_S3_SECRET_ACCESS_KEY="+c.SecretAccessKey.Reveal(),
	)
	w.db, err = pgx.Connect(t.Context(), dsn)
	w.must(err)
	t.Cleanup(func() { _ = w.db.Close(context.WithoutCancel(t.Context())) })
	return w
}

func (w *erasable) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *erasable) start() *server {
	w.server = serve(w, w.env, "127.0.0.1:0")
	return w.server
}

// restart kills the server once it is time, and starts another.
func (w *erasable) restart(s *server, now func() bool) {
	w.Helper()
	eventually(w, "the time to kill the server", func(context.Context) bool { return now() })
	s.kill(w)
	w.start()
}

func (w *erasable) count(sql string, args ...any) (n int) {
	w.Helper()
	w.must(w.db.QueryRow(w.Context(), sql, args...).Scan(&n))
	return n
}

// send asks the server, which must answer with one of 2xx.
func (w *erasable) send(key, method, path, body string, header ...string) (*http.Response, string) {
	w.Helper()
	resp, text := w.ask(key, method, path, body, header...)
	if resp.StatusCode/100 != 2 {
		w.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	return resp, text
}

func (w *erasable) ask(key, method, path, body string, header ...string) (*http.Response, string) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, w.server.url+path, strings.NewReader(body))
	w.must(err)
	r.Header.Set("Authorization", "Bearer "+key)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	w.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	w.must(err)
	return resp, string(text)
}

func tusHeader(header ...string) []string { return append(header, "Tus-Resumable", "1.0.0") }

// spread has the tenant put its word wherever one of its own can be put, and returns its key.
func (w *erasable) spread(tenant, word string) string {
	w.Helper()
	key, _ := created(w, w.env, "--tenant", tenant, "--role", "admin", "--name", word)
	for _, args := range [][]string{
		{"tenants", "set", tenant, "--max-running", "3", "--max-stored-bytes", "1GiB"},
		{"watch", "add", "--tenant", tenant, w.drops.Name() + "/" + word + "/"},
	} {
		if out, err := command(w, w.env, args...).CombinedOutput(); err != nil {
			w.Fatalf("sluice %v: %v: %s", args, err, out)
		}
	}
	asJSON := []string{"Content-Type", "application/json"}
	w.send(key, "POST", "/session", "")
	if tenant == "acme" {
		w.send(w.token, "POST", "/session", "")
		w.send(w.token, "POST", "/files/", "", tusHeader("Upload-Length", "10")...)
	}
	w.send(key, "POST", "/api/jobs/webhooks/register/", fmt.Sprintf(`{"webhook_url":"%s/%s","event_types":["job_completed","job_aborted"]}`, w.hook, word), asJSON...)
	_, tokens := w.send(key, "POST", "/api/upload-tokens/", `{"max_bytes":1000}`, asJSON...)
	var token struct{ Token string }
	w.must(json.Unmarshal([]byte(tokens), &token))
	w.doors(key, word)
	w.uploads(key, token.Token, word)
	_, err := w.drops.Put(w.Context(), word+"/"+word+".csv", []byte(wordCSV(word)))
	w.must(err)
	job := w.csv(key, word)
	eventually(w, "the ends of all jobs", func(context.Context) bool {
		return w.state(key, job) == "JOB_COMPLETE" && w.count("SELECT count(*) FROM drops JOIN jobs ON jobs.id = job_id WHERE drops.tenant = $1 AND state = 'JOB_COMPLETE'", tenant) == 1 &&
			w.count("SELECT count(*) FROM jobs WHERE tenant = $1 AND state IN ('UPLOAD_COMPLETE', 'IN_PROGRESS')", tenant) == 0 &&
			w.count("SELECT count(*) FROM uploads WHERE tenant = $1 AND state = 'complete' AND (compose_at IS NOT NULL OR sweep_at IS NOT NULL)", tenant) == 0 && w.count("SELECT count(*) FROM delivery_attempts WHERE tenant = $1", tenant) > 0
	})
	w.leftovers(tenant, job, word)
	return key
}

func wordCSV(word string) string {
	return fmt.Sprintf("account_id,date,amount,note\n%[1]s,2024-01-02,1500.00,%[1]s\n%[1]s,someday %[1]s,1,x\n", word)
}

// csv sends a file, and returns its job.
func (w *erasable) csv(key, word string) (job string) {
	w.Helper()
	query := url.Values{"filename": {word + ".csv"}, "credit_model_config": {fmt.Sprintf(`{"model_version":%q}`, word)}}
	_, text := w.send(key, "POST", "/api/financial-transactions/stream-upload/?"+query.Encode(), wordCSV(word), "Content-Type", "text/csv", "Idempotency-Key", word)
	var taken struct {
		JobID string `json:"job_id"`
	}
	w.must(json.Unmarshal([]byte(text), &taken))
	return taken.JobID
}

// state waits for the job's end.
func (w *erasable) state(key, job string) (state string) {
	w.Helper()
	eventually(w, "the job's end", func(context.Context) bool {
		_, text := w.send(key, "GET", "/api/jobs/"+job+"/status/", "")
		for _, state = range []string{"JOB_COMPLETE", "FAILED", "ABORTED"} {
			if strings.Contains(text, `"`+state+`"`) {
				return true
			}
		}
		return false
	})
	return state
}

// doors sends by the doors that are not tus.
func (w *erasable) doors(key, word string) {
	w.Helper()
	const base = "/api/financial-transactions/"
	record := fmt.Sprintf(`{"account_id":%q,"date":"2024-01-02","amount":1}`, word)
	w.send(key, "POST", base+"process-transactions/", `{"data":[`+record+`]}`, "Content-Type", "application/json", "Idempotency-Key", word+"-2")
	w.send(key, "POST", base+"upload-file/", "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\""+word+".csv\"\r\n\r\n"+wordCSV(word)+"\r\n--x--\r\n",
		"Content-Type", "multipart/form-data; boundary=x")
	w.send(key, "POST", base+"upload-chunked/", fmt.Sprintf(`{"session_id":%q,"chunk_number":1,"total_chunks":2,"chunk_data":[%s]}`, word, record), "Content-Type", "application/json")
	_, text := w.send(key, "POST", base+"jobs/", `{"object":"FinancialTransaction","operation":"pipeline","content_type":"csv"}`, "Content-Type", "application/json")
	var bulk struct {
		ID string `json:"job_id"`
	}
	w.must(json.Unmarshal([]byte(text), &bulk))
	w.send(key, "PUT", base+"jobs/"+bulk.ID+"/upload/", wordCSV(word), "Content-Type", "text/csv")
}

// uploads begins some by tus: one with bytes, a partial one, one by a token, one that is whole and wrong.
func (w *erasable) uploads(key, token, word string) {
	w.Helper()
	metadata := "filename " + base64.StdEncoding.EncodeToString([]byte(word+".csv")) + ",x " + base64.StdEncoding.EncodeToString([]byte(word))
	for _, u := range []struct{ key, length, body, concat string }{
		{key, "2000000", strings.Repeat(word, 100), ""}, {key, "10", "", "partial"}, {token, "10", "", ""}, {key, "10", word[:10], ""},
	} {
		header := tusHeader("Upload-Length", u.length, "Upload-Metadata", metadata)
		if u.concat != "" {
			header = append(header, "Upload-Concat", u.concat)
		}
		made, _ := w.send(u.key, "POST", "/files/", "", header...)
		if u.body != "" {
			w.send(u.key, "PATCH", made.Header.Get("Location"), u.body, tusHeader("Upload-Offset", "0", "Content-Type", "application/offset+octet-stream")...)
		}
	}
}

// leftovers are what a composer and an attempt that died have left: an object of two versions, a deleted one, and a
// multipart upload.
func (w *erasable) leftovers(tenant, job, word string) {
	w.Helper()
	_, err := w.db.Exec(w.Context(), "UPDATE uploads SET composers = 1 WHERE id = $1", job)
	w.must(err)
	_, err = w.db.Exec(w.Context(), "INSERT INTO strays (job_id, tenant, sweep_at, fences) VALUES ($1, $2, now() + interval '1 hour', '{99}')", job, tenant)
	w.must(err)
	for prefix, multipart := range map[string]string{"uploads/": "/1/file", "results/": "/99/rejects.csv"} {
		at := prefix + tenant + "/" + job + "/9/left"
		for range 2 {
			_, err := w.s3.PutObject(w.Context(), &s3.PutObjectInput{Bucket: &w.name, Key: &at, Body: strings.NewReader(word)})
			w.must(err)
		}
		_, err := w.s3.PutObject(w.Context(), &s3.PutObjectInput{Bucket: &w.name, Key: aws.String(at + "deleted"), Body: strings.NewReader(word)})
		w.must(err)
		_, err = w.s3.DeleteObject(w.Context(), &s3.DeleteObjectInput{Bucket: &w.name, Key: aws.String(at + "deleted")})
		w.must(err)
		key := prefix + tenant + "/" + job + multipart
		_, err = w.s3.CreateMultipartUpload(w.Context(), &s3.CreateMultipartUploadInput{Bucket: &w.name, Key: &key})
		w.must(err)
		w.begun = append(w.begun, key)
	}
}

// rows are the tenant's that nothing changes by itself.
func (w *erasable) rows(tenant string) map[string]string {
	w.Helper()
	all := map[string]string{}
	for _, table := range []string{"results", "offers", "jobs", "batches", "batched", "upload_tokens", "token_uploads", "tenant_limits", "tenant_usage", "drops"} {
		var text string
		w.must(w.db.QueryRow(w.Context(), "SELECT coalesce(string_agg(r::text, E'\n' ORDER BY r::text), '') FROM "+table+" AS r WHERE tenant = $1", tenant).Scan(&text))
		all[table] = text
	}
	return all
}

// places is where the word is, or the id of one of the tenant's jobs, keys and other things, or its name: columns of
// tables, by the catalogue, kinds of objects, and temporary files. Of hexadecimal and base64 they are found too. The audit
// log may have its name and ids, and the erasures its name.
func (w *erasable) places(tenant, word string) (found map[string]int) {
	w.Helper()
	found = map[string]int{}
	w.columns(tenant, word, found)
	w.objects(tenant, word, found)
	w.must(filepath.WalkDir(w.temp, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(word)) {
			found["file "+path]++
		}
		return err
	}))
	return found
}

func (w *erasable) columns(tenant, word string, found map[string]int) {
	w.Helper()
	words := []string{word, hex.EncodeToString([]byte(word)), base64.StdEncoding.EncodeToString([]byte(word))[:len(word)]}
	ids, err := w.db.Query(w.Context(), "SELECT subject FROM audit WHERE tenant = $1 AND subject ~ '^(job|wh|watch|slk)_'", tenant)
	w.must(err)
	named, err := pgx.CollectRows(ids, pgx.RowTo[string])
	w.must(err)
	rows, err := w.db.Query(w.Context(), "SELECT table_name, quote_ident(column_name) FROM information_schema.columns WHERE table_schema = 'public'")
	w.must(err)
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Table, Name string }])
	w.must(err)
	for _, c := range columns {
		sought := words
		if c.Table != "audit" {
			sought = append(named, words...)
		}
		sql := "SELECT count(*) FROM " + c.Table + " WHERE EXISTS (SELECT FROM unnest($1::text[]) AS sought WHERE strpos(" + c.Name + "::text, sought) > 0)"
		if c.Name == "tenant" && c.Table != "audit" && c.Table != "erasures" {
			sql += " OR tenant = '" + tenant + "'"
		}
		if n := w.count(sql, sought); n > 0 {
			found[c.Table+"."+c.Name] = n
		}
	}
}

func (w *erasable) objects(tenant, word string, found map[string]int) {
	w.Helper()
	see := func(kind, key string) {
		if prefix, rest, _ := strings.Cut(key, "/"); strings.HasPrefix(rest, tenant+"/") || strings.Contains(key, word) {
			found[kind+" below "+prefix]++
		}
	}
	versions, err := w.s3.ListObjectVersions(w.Context(), &s3.ListObjectVersionsInput{Bucket: &w.name})
	w.must(err)
	if aws.ToBool(versions.IsTruncated) {
		w.Fatal("the bucket has more than one page")
	}
	for _, v := range versions.Versions {
		see("version", *v.Key)
		out, err := w.s3.GetObject(w.Context(), &s3.GetObjectInput{Bucket: &w.name, Key: v.Key, VersionId: v.VersionId})
		w.must(err)
		content, err := io.ReadAll(out.Body)
		w.must(err)
		if bytes.Contains(content, []byte(word)) {
			found["content"]++
		}
	}
	for _, m := range versions.DeleteMarkers {
		see("marker", *m.Key)
	}
	for _, key := range append(w.begun, "") { // MinIO lists by whole keys only
		uploads, err := w.s3.ListMultipartUploads(w.Context(), &s3.ListMultipartUploadsInput{Bucket: &w.name, Prefix: &key})
		w.must(err)
		for _, u := range uploads.Uploads {
			see("multipart upload", *u.Key)
		}
	}
}

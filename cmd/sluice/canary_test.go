package main_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/protobuf/encoding/prototext"

	main "sluice/cmd/sluice"
	"sluice/internal/devstack/devtest"
	"sluice/internal/secret"
)

// aviary is an installation in which every secret, and everything that a file holds
// or is called, is a canary; and all that it ever says.
type aviary struct {
	testing.TB

	gateway, worker *server
	env             []string
	canaries        map[string]string // by what they are
	own             string            // the key of the tenant whose files they are
	foreign         string            // another tenant's
	logs            string            // the folder in which all output is
	said            map[string]string // by which door
	problems        int
}

// contents of files that are canaries too.
const (
	canaryHeader = "canary_column_Pirol"
	canaryNote   = "canary-note-Wiedehopf"
	canarySearch = "canary-search-Eisvogel"
)

// launched is launch of a process all of whose output is kept in a file.
func (a *aviary) launched(name string, env []string, args ...string) *server {
	a.Helper()
	kept, err := os.Create(filepath.Join(a.logs, name))
	if err != nil {
		a.Fatal(err)
	}
	a.Cleanup(func() { kept.Close() })
	cmd := command(a, env, args...)
	cmd.Stdout = kept
	return launch(a, cmd, kept)
}

// identity is an issuer whose tokens the gateway takes; it returns one of acme's.
func identity(t testing.TB, subject string) (env []string, token string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	published, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "one", Algorithm: "RS256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(published) }))
	t.Cleanup(web.Close)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "one"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(map[string]any{
		"iss": web.URL, "aud": "sluice", "sub": subject, "tenant": "acme", "role": "admin", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	if token, err = signed.CompactSerialize(); err != nil {
		t.Fatal(err)
	}
	return []string{"SLUICE_JWT_ISSUER=" + web.URL, "SLUICE_JWT_AUDIENCE=sluice", "SLUICE_JWT_JWKS_URL=" + web.URL + "/keys"}, token
}

// ask sends one request, and keeps the answers that are refusals, and all of those
// that are not the tenant's own.
func (a *aviary) ask(key, method, path string, header map[string]string, body string) (status int, answer string, got http.Header) {
	a.Helper()
	ctx, cancel := context.WithTimeout(a.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, a.gateway.url+path, strings.NewReader(body))
	if err != nil {
		a.Fatal(err)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		a.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		a.Fatal(err)
	}
	if key != a.own || resp.StatusCode >= http.StatusInternalServerError {
		a.problems++
		// What the request itself names may be in the answer: it is the caller's own.
		a.said["the answer to "+method+" "+path] = strings.NewReplacer(path, "", r.URL.Path, "").Replace(string(text))
	}
	return resp.StatusCode, string(text), resp.Header
}

// must is ask as the tenant, for a status.
func (a *aviary) must(status int, method, path string, header map[string]string, body string) (answer string, got http.Header) {
	a.Helper()
	was, answer, got := a.ask(a.own, method, path, header, body)
	if was != status {
		a.Fatalf("%s %s: %d %s, want %d", method, path, was, answer, status)
	}
	return answer, got
}

// newAviary starts a gateway and a worker at the most verbose, traced.
func newAviary(t *testing.T) (a *aviary, traces *otlpCollector, s3 *devtest.S3, pg *devtest.Postgres) {
	t.Helper()
	a = &aviary{TB: t, logs: t.TempDir(), said: map[string]string{}}
	traces, traced := collect(t)
	issuer, token := identity(t, "u")
	s3, pg = devtest.OwnS3(t), devtest.OwnPostgres(t)
	a.canaries = map[string]string{
		"API key": canaryKey, "admin key": "canary-admin-Steinkauz", "hook secret": "canary-hook-Neuntoeter", "Postgres password": "canary-pg-Gimpel",
		"S3 secret": s3.Config.SecretAccessKey.Reveal(), "JWT": token, "JWT's signature": token[strings.LastIndex(token, ".")+1:],
		"file name": strings.TrimSuffix(canaryFile, ".csv"), "account": canaryAccount, "cell": canaryCell, "header": canaryHeader, "note": canaryNote, "search": canarySearch,
	}
	a.env = append(append([]string{
		"SLUICE_DATABASE_URL=" + strings.Replace(pg.Database("sluice"), "://sluice@", "://sluice:"+a.canaries["Postgres password"]+"@", 1),
		"SLUICE_S3_ENDPOINT=" + s3.Config.Endpoint, "SLUICE_S3_BUCKET=" + s3.Config.Bucket,
		"SLUICE_S3_ACCESS_KEY_ID=" + s3.Config.AccessKeyID, "SLUICE_S3_SECRET_ACCESS_KEY=" + a.canaries["S3 secret"],
		"SLUICE_API_KEY=" + canaryKey, "SLUICE_ADMIN_KEY=" + a.canaries["admin key"], "SLUICE_HOOK_SECRET=" + a.canaries["hook secret"],
		"SLUICE_WATCH_AREAS=acme=drops/in/", "SLUICE_WEBHOOK_ALLOW=127.0.0.0/8",
		"SLUICE_LOG_LEVEL=debug", "OTEL_BSP_SCHEDULE_DELAY=100", "SLUICE_LOG_FORMAT=json", "SLUICE_HTTP_ADDR=127.0.0.1:0", "SLUICE_OPS_ADDR=127.0.0.1:0",
	}, traced...), issuer...)
	if out, err := command(t, a.env, "migrate", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	a.own, _ = created(t, a.env, "--tenant", "acme", "--role", "admin")
	a.foreign, _ = created(t, a.env, "--tenant", "rival", "--role", "admin")
	a.canaries["tenant's key"], a.canaries["rival's key"] = a.own, a.foreign
	a.gateway = a.launched("gateway", a.env, "serve")
	a.worker = a.launched("worker", a.env, "work")
	return a, traces, s3, pg
}

// meta is a file's metadata, all canaries.
func meta(name string) string {
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	return "filename " + encode(name) + ",note " + encode(canaryNote)
}

// byTus sends a file by tus and returns its job's id.
func (a *aviary) byTus(content string) string {
	a.Helper()
	_, h := a.must(http.StatusCreated, "POST", "/files/", map[string]string{
		"Tus-Resumable": "1.0.0", "Upload-Length": itoa(len(content)), "Upload-Metadata": meta(canaryFile), "Content-Type": "application/offset+octet-stream",
	}, content)
	id := h.Get("Location")
	return id[strings.LastIndex(id, "/")+1:]
}

// ends waits for a job's end and returns its state.
func (a *aviary) ends(id string) (state string) {
	a.Helper()
	eventually(a, "the end of "+id, func(context.Context) bool {
		answer, _ := a.must(http.StatusOK, "GET", "/api/jobs/"+id+"/status/", nil, "")
		var st status
		if err := json.Unmarshal([]byte(answer), &st); err != nil {
			a.Fatal(err)
		}
		state = st.State
		return state == "JOB_COMPLETE" || state == "FAILED"
	})
	return state
}

// doors sends files that are done, that fail, and requests that are refused, by
// every door.
func (a *aviary) doors() {
	a.Helper()
	const doors = "/api/financial-transactions/"
	bad := canaryHeader + ",date,amount\n" + canaryAccount + ",2024-01-15,1\n"
	done, failed := a.byTus(canary), a.byTus(bad)
	if got := a.ends(done) + " " + a.ends(failed); got != "JOB_COMPLETE FAILED" {
		a.Fatalf("the jobs are %s", got)
	}
	for _, view := range []string{"status/", "offers/?decision=all&account_id=" + canaryAccount, "aggregates/?account_id=" + canaryAccount, "portfolio/", "rejects/", "events/"} {
		a.must(http.StatusOK, "GET", "/api/jobs/"+done+"/"+view, nil, "")
		a.ask(a.foreign, "GET", "/api/jobs/"+done+"/"+view, nil, "")
		a.ask("", "GET", "/api/jobs/"+failed+"/"+view, nil, "")
	}
	a.must(http.StatusOK, "GET", "/api/jobs/?q="+canarySearch, nil, "")
	a.ask(a.foreign, "GET", "/api/jobs/", nil, "")

	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", canaryFile)
	if err == nil {
		_, err = io.WriteString(part, canary)
	}
	if err != nil {
		a.Fatal(err)
	}
	_ = w.Close() // to memory
	a.must(http.StatusAccepted, "POST", doors+"upload-file/", map[string]string{"Content-Type": w.FormDataContentType()}, form.String())
	a.must(http.StatusAccepted, "POST", doors+"stream-upload/?filename="+url.QueryEscape(canaryFile), map[string]string{"Content-Type": "text/csv"}, canary)
	record := `{"account_id":"` + canaryAccount + `","date":"2024-01-15","amount":"` + canaryCell + `"}`
	a.must(http.StatusAccepted, "POST", doors+"process-transactions/", map[string]string{"Content-Type": "application/json"}, `{"data":[`+record+`]}`)
	for _, body := range []string{`{"data":[` + record, `{"data":["` + canaryCell + `"]}`, `{"` + canaryHeader + `":1}`, canaryCell} {
		a.ask(a.own, "POST", doors+"process-transactions/", map[string]string{"Content-Type": "application/json"}, body)
		a.ask(a.own, "POST", doors+"upload-chunked/", map[string]string{"Content-Type": "application/json"}, body)
		a.ask(a.own, "POST", "/api/financial-transactions/jobs/", map[string]string{"Content-Type": "application/json"}, body)
		a.ask(a.own, "POST", "/api/jobs/webhooks/register/", map[string]string{"Content-Type": "application/json"}, body)
		a.ask(a.own, "POST", "/api/watches/", map[string]string{"Content-Type": "application/json"}, body)
		a.ask(a.own, "POST", doors+"stream-upload/", map[string]string{"Content-Type": "application/gzip"}, body)
	}
	tus := map[string]string{"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream", "Upload-Checksum": "sha1 " + base64.StdEncoding.EncodeToString(make([]byte, 20))}
	_, h := a.must(http.StatusCreated, "POST", "/files/", map[string]string{"Tus-Resumable": "1.0.0", "Upload-Length": itoa(len(canary)), "Upload-Metadata": meta(canaryFile)}, "")
	file := h.Get("Location")
	a.must(460, "PATCH", file, tus, canary)
	for _, key := range []string{a.foreign, "", "wrong-" + canaryNote} {
		a.ask(key, "PATCH", file, tus, canary)
		a.ask(key, "DELETE", file, tus, "")
	}
	a.ask(a.own, "POST", "/files/", map[string]string{"Tus-Resumable": "1.0.0", "Upload-Length": "1", "Upload-Metadata": meta(canaryFile) + ",parse_config " + base64.StdEncoding.EncodeToString([]byte(`{"`+canaryHeader+`":1}`))}, "")
	a.ask(a.own, "POST", "/files/", map[string]string{"Tus-Resumable": "1.0.0", "Upload-Length": "1", "Upload-Metadata": "filename " + canaryNote + "!"}, "")
}

// credentials uses every secret that there is, right and wrong.
func (a *aviary) credentials() {
	a.Helper()
	told := make(chan struct{}, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		told <- struct{}{}
	}))
	defer receiver.Close()
	answer, _ := a.must(http.StatusCreated, "POST", "/api/jobs/webhooks/register/", map[string]string{"Content-Type": "application/json"}, `{"webhook_url":"`+receiver.URL+`/`+canaryNote+`","event_types":["job_completed"]}`)
	var made struct{ Secret, Token string }
	if err := json.Unmarshal([]byte(answer), &made); err != nil || made.Secret == "" {
		a.Fatalf("%v: %s", err, answer)
	}
	a.canaries["webhook secret"] = made.Secret
	a.ends(a.byTus(canary))
	<-told

	answer, _ = a.must(http.StatusCreated, "POST", "/api/upload-tokens/", map[string]string{"Content-Type": "application/json"}, `{"max_bytes":1000}`)
	if err := json.Unmarshal([]byte(answer), &made); err != nil || made.Token == "" {
		a.Fatalf("%v: %s", err, answer)
	}
	a.canaries["upload token"] = made.Token
	_, h := a.must(http.StatusNoContent, "POST", "/session", nil, "")
	cookie, err := http.ParseSetCookie(h.Get("Set-Cookie"))
	if err != nil {
		a.Fatal(err)
	}
	a.canaries["session"] = cookie.Value
	// Each where it is good, where it is not, and changed at its end.
	for _, value := range maps.Clone(a.canaries) {
		for _, key := range []string{value, value + "x"} {
			a.ask(key, "GET", "/api/jobs/", nil, "")
			a.ask(key, "POST", "/files/", map[string]string{"Tus-Resumable": "1.0.0", "Upload-Length": "1"}, "")
			a.ask(key, "POST", "/hooks/s3", nil, `{"`+canaryHeader+`": [`)
			a.ask(key, "GET", "/admin/queue/", nil, "")
			a.ask("", "GET", "/api/jobs/", map[string]string{"Cookie": cookie.Name + "=" + key}, "")
			a.ask("", "GET", "/api/jobs/?api_key="+url.QueryEscape(key), nil, "")
			a.ask("", "GET", "/nothing/"+url.PathEscape(key), nil, "")
		}
	}
}

// away takes S3 and then Postgres away, and asks for what needs them.
func (a *aviary) away(s3 *devtest.S3, pg *devtest.Postgres) {
	a.Helper()
	done := a.byTus(canary)
	a.ends(done)
	ask := func() {
		for _, path := range []string{"/api/jobs/" + done + "/rejects/", "/api/jobs/" + done + "/aggregates/", "/api/jobs/?q=" + canarySearch, "/readyz", "/session"} {
			a.ask(a.own, "GET", path, nil, "")
		}
		a.ask(a.own, "POST", "/files/", map[string]string{"Tus-Resumable": "1.0.0", "Upload-Length": itoa(len(canary)), "Upload-Metadata": meta(canaryFile), "Content-Type": "application/offset+octet-stream"}, canary)
		a.ask(a.own, "POST", "/api/financial-transactions/stream-upload/?filename="+canaryFile, map[string]string{"Content-Type": "text/csv"}, canary)
		a.ask(a.canaries["JWT"], "GET", "/api/jobs/", nil, "")
	}
	s3.Kill()
	ask()
	pg.Kill()
	ask()
}

// forms are how a canary may have been written.
func forms(canary string) []string {
	return []string{canary, base64.StdEncoding.EncodeToString([]byte(canary)), base64.RawURLEncoding.EncodeToString([]byte(canary)), hex.EncodeToString([]byte(canary))}
}

// TestCanaries: whatever a file is called and holds, and every key, token and
// password, stays out of all output, metrics and traces at the most verbose, and out
// of what others are answered; also while files fail, requests are refused, and S3
// and Postgres are away.
func TestCanaries(t *testing.T) {
	t.Parallel()
	a, traces, s3, pg := newAviary(t)
	a.doors()
	a.batches()
	a.drops(s3)
	a.imports()
	a.credentials()
	a.said["/metrics of the gateway"] = a.metrics(a.gateway.url, a.canaries["admin key"])
	a.said["/metrics of the worker"] = a.metrics(a.worker.url, "")
	a.away(s3, pg)
	eventually(t, "the traces", func(context.Context) bool {
		names := map[string]bool{}
		for _, s := range traces.spans(t) {
			names[s.Name] = true
		}
		return names["PATCH /files/:id"] && names["attempt"]
	})
	for _, s := range []*server{a.gateway, a.worker} {
		s.kill(t) // without Postgres its end may take its time, and adds nothing
	}
	for _, args := range [][]string{{"doctor"}, {"migrate", "status"}, {"serve"}, {"keys", "list"}} {
		out, _ := command(t, a.env, args...).CombinedOutput() // which cannot do what they are to
		a.said["sluice "+strings.Join(args, " ")] = string(out)
	}
	for _, name := range []string{"gateway", "worker"} {
		text, err := os.ReadFile(filepath.Join(a.logs, name))
		if err != nil {
			t.Fatal(err)
		}
		a.said["the log of the "+name] = string(text)
	}
	for _, s := range traces.spans(t) {
		text, err := prototext.Marshal(s.Span)
		if err != nil {
			t.Fatal(err)
		}
		a.said["traces"] += string(text)
	}
	for where, least := range map[string]string{
		"the log of the gateway": `"level":"DEBUG"`, "the log of the worker": "job_id", "traces": "PATCH", "/metrics of the gateway": "sluice_", "/metrics of the worker": "sluice_",
		"sluice doctor": "fail",
	} {
		if !strings.Contains(a.said[where], least) {
			t.Errorf("%s says too little to prove anything:\n%.2000s", where, a.said[where])
		}
	}
	if a.problems < 200 {
		t.Errorf("%d answers to others", a.problems)
	}
	for _, where := range slices.Sorted(maps.Keys(a.said)) {
		for what, canary := range a.canaries {
			for _, form := range forms(canary) {
				if i := strings.Index(a.said[where], form); i >= 0 {
					t.Errorf("%s shows the %s: …%s…", where, what, a.said[where][max(0, i-200):min(len(a.said[where]), i+len(form)+100)])
				}
			}
		}
	}
}

// metrics returns what a scraper is told.
func (a *aviary) metrics(server, key string) string {
	a.Helper()
	r, err := http.NewRequestWithContext(a.Context(), http.MethodGet, server+"/metrics", http.NoBody)
	if err != nil {
		a.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		a.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		a.Fatalf("%d %v", resp.StatusCode, err)
	}
	return string(text)
}

// Each setting that holds a secret is of the type that shows none.
func TestSecretSettings(t *testing.T) {
	t.Parallel()
	found := 0
	for _, node := range main.NewParser().Model.Leaves(false) {
		for _, f := range node.AllFlags(false) {
			for _, flag := range f {
				name := strings.Join(flag.Envs, "")
				secretive := strings.HasSuffix(name, "_KEY") || strings.HasSuffix(name, "SECRET") || strings.Contains(name, "PASSWORD") || strings.Contains(name, "TOKEN") || strings.Contains(name, "DATABASE_URL")
				if !secretive || name == "SLUICE_TLS_KEY" { // a file's path
					continue
				}
				found++
				if _, ok := reflect.TypeAssert[secret.Text](flag.Target); !ok {
					t.Errorf("%s of %s is a %s", name, node.Path(), flag.Target.Type())
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("found %d", found)
	}
}

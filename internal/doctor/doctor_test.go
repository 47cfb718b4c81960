package doctor_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
	"sluice/internal/doctor"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// look examines and returns what was found, by check.
func look(t *testing.T, dsn string, s3 blob.Config, keep time.Duration) map[string]doctor.Finding {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	bucket, err := blob.New(t.Context(), s3)
	if err != nil {
		t.Fatal(err)
	}
	found, err := doctor.Look(t.Context(), doctor.Config{Pool: pool, Bucket: bucket, Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]doctor.Finding{}
	for _, f := range found {
		by[f.Check] = f
		if f.Detail == "" || (f.Status == doctor.Fail || f.Status == doctor.Warn) && f.Fix == "" {
			t.Errorf("finding without words: %+v", f)
		}
	}
	if len(by) != len(found) || len(found) != 15 {
		t.Errorf("%d findings of %d checks", len(found), len(by))
	}
	return by
}

// only fails the test unless just the named checks failed, each with that in its fix.
func only(t *testing.T, found map[string]doctor.Finding, fixes map[string]string) {
	t.Helper()
	for check, f := range found {
		fix, wanted := fixes[check]
		if wanted != (f.Status == doctor.Fail) || wanted && !strings.Contains(f.Fix, fix) {
			t.Errorf("%s: %s, %s (%s); wanted to fail: %v %s", check, f.Status, f.Detail, f.Fix, wanted, fix)
		}
	}
}

// Against servers that are well nothing fails, and nothing is left behind.
func TestHealthy(t *testing.T) {
	t.Parallel()
	s3 := devtest.S3Config(t)
	only(t, look(t, devtest.DSN(t), s3, 0), nil)
	bucket, err := blob.New(t.Context(), s3)
	if err != nil {
		t.Fatal(err)
	}
	for o, err := range bucket.List(t.Context(), "") {
		t.Errorf("left behind: %s, %v", o.Key, err)
	}
}

func TestBrokenDatabase(t *testing.T) {
	t.Parallel()
	s3, dsn := devtest.S3Config(t), devtest.DSN(t)
	with := func(edit func(u *url.URL)) string {
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		edit(u)
		return u.String()
	}
	parameter := func(name, value string) string {
		return with(func(u *url.URL) {
			q := u.Query()
			q.Set(name, value)
			u.RawQuery = q.Encode()
		})
	}
	execute(t, dsn, `CREATE SCHEMA late; CREATE SCHEMA empty`,
		`CREATE FUNCTION late.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT pg_catalog.clock_timestamp() + interval '5 minutes' $$`)
	t.Run("nobody there", func(t *testing.T) {
		only(t, look(t, "postgres://nobody@127.0.0.1:1/none", s3, 0), map[string]string{"database: reach": "host and port"})
	})
	t.Run("no such database", func(t *testing.T) {
		only(t, look(t, with(func(u *url.URL) { u.Path = "/nowhere" }), s3, 0), map[string]string{"database: reach": "create the database"})
	})
	t.Run("no such user", func(t *testing.T) {
		only(t, look(t, with(func(u *url.URL) { u.User = url.UserPassword("nobody", "wrong") }), s3, 0), map[string]string{"database: reach": "correct user and password"})
	})
	t.Run("not migrated", func(t *testing.T) {
		only(t, look(t, parameter("search_path", "empty"), s3, 0), map[string]string{"database: migrations": "sluice migrate up"})
	})
	t.Run("clock", func(t *testing.T) {
		only(t, look(t, parameter("search_path", "public,late,pg_catalog"), s3, 0), map[string]string{"database: clock": "NTP"})
	})
	t.Run("events lost", func(t *testing.T) {
		only(t, look(t, deaf(t, dsn), s3, 0), map[string]string{"database: events": "session mode"})
	})
	t.Run("role", func(t *testing.T) {
		role := fmt.Sprintf("reader_%d", time.Now().UnixNano())
		execute(t, dsn, `CREATE ROLE `+role+` LOGIN NOINHERIT PASSWORD 'pw'`, `GRANT sluice_tenant, sluice_worker, sluice_queue, sluice_eraser TO `+role)
		t.Cleanup(func() { execute(t, dsn, `DROP ROLE `+role) })
		login := with(func(u *url.URL) { u.User = url.UserPassword(role, "pw") })
		only(t, look(t, login, s3, 0), map[string]string{"database: role": "GRANT sluice_system TO " + role})
		execute(t, dsn, `GRANT sluice_system TO `+role)
		only(t, look(t, login, s3, 0), nil)
	})
}

func execute(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // cleanups run behind the test's
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, s := range statements {
		if _, err := pool.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// deaf returns the DSN of a pooler before the database that loses notifications,
// as one in transaction mode does.
func deaf(t *testing.T, dsn string) string {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	network, address := pgNetwork(cfg)
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := (&net.Dialer{}).Dial(network, address)
			if err != nil {
				client.Close()
				return
			}
			go func() { _, _ = io.Copy(server, client); server.Close() }()
			go func() { withoutNotifications(client, server); client.Close() }()
		}
	}()
	c := cfg.ConnConfig
	u := url.URL{Scheme: "postgres", User: url.UserPassword(c.User, c.Password), Host: listener.Addr().String(), Path: c.Database, RawQuery: "sslmode=disable"}
	return u.String()
}

func pgNetwork(cfg *pgxpool.Config) (network, address string) {
	host, port := cfg.ConnConfig.Host, cfg.ConnConfig.Port
	if strings.HasPrefix(host, "/") {
		return "unix", fmt.Sprintf("%s/.s.PGSQL.%d", host, port)
	}
	return "tcp", net.JoinHostPort(host, fmt.Sprint(port))
}

// withoutNotifications copies the server's messages but NotificationResponse ('A').
func withoutNotifications(to io.Writer, from io.Reader) {
	for head := make([]byte, 5); ; {
		if _, err := io.ReadFull(from, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(from, body); err != nil {
			return
		}
		if head[0] == 'A' {
			continue
		}
		if _, err := to.Write(append(append([]byte(nil), head...), body...)); err != nil {
			return
		}
	}
}

// refusing stands before an S3 server and answers what on wants to answer.
func refusing(t *testing.T, on func(w http.ResponseWriter, r *http.Request) bool) blob.Config {
	t.Helper()
	cfg := devtest.S3Config(t)
	server, err := url.Parse(cfg.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(server) // keeps the Host, which is signed
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !on(w, r) {
			through.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(proxy.Close)
	cfg.Endpoint = proxy.URL
	return cfg
}

func deny(w http.ResponseWriter, code string, status int) bool {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>no</Message></Error>`, code)
	return true
}

func TestBrokenBucket(t *testing.T) {
	t.Parallel()
	dsn := devtest.DSN(t)
	for name, c := range map[string]struct {
		denied func(r *http.Request) bool
		fixes  map[string]string
	}{
		"put":       {func(r *http.Request) bool { return r.Method == http.MethodPut && len(r.URL.Query()["partNumber"]) == 0 }, map[string]string{"bucket: put": "s3:PutObject"}},
		"get":       {func(r *http.Request) bool { return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/put") }, map[string]string{"bucket: get": "s3:GetObject", "bucket: compose": "s3:GetObject"}},
		"list":      {func(r *http.Request) bool { return r.URL.Query().Has("list-type") }, map[string]string{"bucket: list": "s3:ListBucket", "bucket: delete": "s3:DeleteObject"}},
		"multipart": {func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploads") }, map[string]string{"bucket: multipart": "s3:AbortMultipartUpload"}},
		"uploads":   {func(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Query().Has("uploads") }, map[string]string{"bucket: multipart": "s3:ListBucketMultipartUploads", "bucket: compose": "s3:ListBucketMultipartUploads"}},
		"abort":     {func(r *http.Request) bool { return r.Method == http.MethodDelete && r.URL.Query().Has("uploadId") }, map[string]string{"bucket: multipart": "s3:AbortMultipartUpload"}},
		"delete":    {func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("delete") }, map[string]string{"bucket: delete": "s3:DeleteObject"}},
		"results": {func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/results/")
		}, map[string]string{"bucket: put": "s3:PutObject"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s3 := refusing(t, func(w http.ResponseWriter, r *http.Request) bool {
				return c.denied(r) && deny(w, "AccessDenied", http.StatusForbidden)
			})
			only(t, look(t, dsn, s3, 0), c.fixes)
		})
	}
	t.Run("no bucket", func(t *testing.T) {
		t.Parallel()
		s3 := devtest.S3Config(t)
		s3.Bucket = "nowhere"
		only(t, look(t, dsn, s3, 0), map[string]string{"bucket: reach": "create the bucket"})
	})
	t.Run("wrong secret", func(t *testing.T) {
		t.Parallel()
		s3 := devtest.S3Config(t)
		s3.SecretAccessKey += "x"
		only(t, look(t, dsn, s3, 0), map[string]string{"bucket: reach": "SLUICE_S3_"})
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		s3 := devtest.S3Config(t)
		s3.Endpoint = "http://127.0.0.1:1"
		only(t, look(t, dsn, s3, 0), map[string]string{"bucket: reach": "SLUICE_S3_ENDPOINT"})
	})
	t.Run("clock", func(t *testing.T) {
		t.Parallel()
		s3 := refusing(t, func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodHead || strings.Count(r.URL.Path, "/") > 2 {
				return false
			}
			w.Header().Set("Date", time.Now().Add(-10*time.Minute).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusOK)
			return true
		})
		only(t, look(t, dsn, s3, 0), map[string]string{"bucket: clock": "NTP"})
	})
}

func TestLifecycle(t *testing.T) {
	t.Parallel()
	dsn := devtest.DSN(t)
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		rule    string
		keep    time.Duration
		harmful bool
	}{
		"eats uploads":         {`<Filter><Prefix>uploads/</Prefix></Filter><Expiration><Days>7</Days></Expiration>`, 0, true},
		"eats everything":      {`<Filter/><Expiration><Days>365</Days></Expiration>`, 0, true},
		"eats in the old form": {`<Prefix>res</Prefix><Expiration><Days>7</Days></Expiration>`, 0, true},
		"eats one tenant's":    {`<Filter><Prefix>results/acme/</Prefix></Filter><Expiration><Days>7</Days></Expiration>`, 0, true},
		"eats too early":       {`<Filter/><Expiration><Days>30</Days></Expiration>`, 30 * day, true},
		"eats late enough":     {`<Filter/><Expiration><Days>31</Days></Expiration>`, 30 * day, false},
		"eats at a date":       {`<Filter/><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>`, 30 * day, true},
		"elsewhere":            {`<Filter><Prefix>logs/</Prefix></Filter><Expiration><Days>1</Days></Expiration>`, 0, false},
		"by a tag":             {`<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter><Expiration><Days>1</Days></Expiration>`, 0, false},
		"moves":                {`<Filter/><Transition><Days>30</Days><StorageClass>GLACIER</StorageClass></Transition>`, 0, true},
		"aborts after a day":   {`<Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>`, 0, true},
		"aborts after a week":  {`<Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>`, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s3 := refusing(t, func(w http.ResponseWriter, r *http.Request) bool {
				if !r.URL.Query().Has("lifecycle") {
					return false
				}
				fmt.Fprintf(w, `<LifecycleConfiguration><Rule><ID>r1</ID><Status>Enabled</Status>%s</Rule></LifecycleConfiguration>`, c.rule)
				return true
			})
			fixes := map[string]string{}
			if c.harmful {
				fixes["bucket: lifecycle"] = "take uploads/ and results/ out"
			}
			only(t, look(t, dsn, s3, c.keep), fixes)
		})
	}
}

package main_test

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	main "sluice/cmd/sluice"
	"sluice/internal/devstack"
	"sluice/internal/devstack/devtest"
)

// Beyond this machine Postgres and S3 are spoken to by verified TLS only, unless the
// setting that permits another way names them; and a refusal shows no password.
func TestTransportIsVerified(t *testing.T) {
	t.Parallel()
	const password, safe = "canary-password", "sslmode=verify-full"
	ca := newAuthority(t)
	for _, c := range []struct {
		database, endpoint, permitted string
		refused                       []string
	}{
		{"db.example:5432/x?" + safe, "https://s3.example", "", nil},
		{"db.example:5432/x?" + safe, "", "", nil},
		{"db.example:5432/x?" + safe + "&sslrootcert=" + ca.file, "", "", nil},
		{"127.0.0.1:5432/x", "http://127.0.0.1:9000", "", nil},
		{"localhost:5432/x?sslmode=disable", "http://localhost:9000", "", nil},
		{"/x?host=/run/postgresql", "http://[::1]:9000", "", nil},
		{"db.example:5432/x", "", "", []string{"SLUICE_DATABASE_URL"}},
		{"db.example:5432/x?sslmode=disable", "", "", []string{"SLUICE_DATABASE_URL"}},
		{"db.example:5432/x?sslmode=prefer", "", "", []string{"SLUICE_DATABASE_URL"}},
		{"db.example:5432/x?sslmode=require", "", "", []string{"SLUICE_DATABASE_URL"}},
		{"db.example:5432/x?sslmode=verify-ca&sslrootcert=" + ca.file, "", "", []string{"SLUICE_DATABASE_URL"}},
		{"127.0.0.1,db.example/x?sslmode=disable", "", "", []string{"SLUICE_DATABASE_URL"}},
		{"localhost.example:5432/x", "", "s3", []string{"SLUICE_DATABASE_URL"}},
		{"10.0.0.1:5432/x", "http://10.0.0.1:9000", "", []string{"SLUICE_DATABASE_URL", "SLUICE_S3_ENDPOINT"}},
		{"db.example:5432/x?" + safe, "http://s3.example", "postgres", []string{"SLUICE_S3_ENDPOINT"}},
		{"db.example:5432/x", "http://s3.example", "postgres,s3", nil},
		{"db.example:5432/x", "http://s3.example", "tls", []string{"--insecure-transport"}},
	} {
		args := []string{
			"work", "--database-url=postgres://u:" + password + "@" + c.database,
			"--s3-endpoint=" + c.endpoint, "--s3-access-key-id=x", "--s3-secret-access-key=y", "--insecure-transport=" + c.permitted,
		}
		if c.permitted == "" {
			args = args[:len(args)-1]
		}
		_, err := main.NewParser().Parse(args)
		if (err != nil) != (c.refused != nil) {
			t.Errorf("%s, %s, %q: %v", c.database, c.endpoint, c.permitted, err)
			continue
		}
		for _, name := range c.refused {
			if text := err.Error(); !strings.Contains(text, name) || strings.Contains(text, password) {
				t.Errorf("%s: %s", c.database, text)
			}
		}
	}
}

// tlsWorld is a Postgres and an S3 server, both by TLS with certificates of ca, and
// the settings that lead to them, but for who ca is.
func tlsWorld(t *testing.T, ca *authority) (database string, env []string) {
	t.Helper()
	address := fmt.Sprintf("127.%d.%d.%d", 1+rand.N(250), 1+rand.N(250), 1+rand.N(250)) // of its own: the port is given
	cert, key := ca.issue(t, address)
	pg := devtest.OwnPostgres(t, func(c *devstack.PostgresConfig) {
		c.TLS = &devstack.PostgresTLS{Address: address, Certificate: cert, Key: key}
	})
	_ = pg.Database("sluice")
	server := devtest.S3Config(t)
	behind, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = ca.issue(t, "127.0.0.1")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(behind)
		r.Out.Host = r.In.Host // which is signed
	}})
	front.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	front.StartTLS()
	t.Cleanup(front.Close)
	return "SLUICE_DATABASE_URL=postgres://sluice@" + address + "/sluice?sslmode=verify-full", []string{
		"SLUICE_S3_ENDPOINT=" + front.URL, "SLUICE_S3_BUCKET=" + server.Bucket,
		"SLUICE_S3_ACCESS_KEY_ID=" + server.AccessKeyID, "SLUICE_S3_SECRET_ACCESS_KEY=" + server.SecretAccessKey.Reveal(),
	}
}

// With the right authorities everything works by TLS; with none, or another's, nothing
// does, and the doctor says which setting to look at.
func TestTLSToPostgresAndS3(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	database, s3 := tlsWorld(t, ca)
	env := append(slices.Clone(s3), database+"&sslrootcert="+ca.file, "SLUICE_S3_CA="+ca.file)
	if out, err := command(t, env, "migrate", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := command(t, env, "doctor").CombinedOutput()
	if err != nil || strings.Count(string(out), "TLS, with a certificate for 127.") != 2 {
		t.Fatalf("%v\n%s", err, out)
	}
	s := serve(t, env, "127.0.0.1:0")
	upload(t, s.url, written(t, "a.csv", "account_id,date,amount\nA,2024-01-01,1.00\n"))
	s.stop(t)

	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"Postgres of nobody known": {append(slices.Clone(s3), database, "SLUICE_S3_CA="+ca.file), "let sslrootcert in SLUICE_DATABASE_URL"},
		"Postgres of another":      {append(slices.Clone(s3), database+"&sslrootcert="+other.file, "SLUICE_S3_CA="+ca.file), "let sslrootcert in SLUICE_DATABASE_URL"},
		"S3 of nobody known":       {append(slices.Clone(s3), database+"&sslrootcert="+ca.file), "let SLUICE_S3_CA"},
		"S3 of another":            {append(slices.Clone(s3), database+"&sslrootcert="+ca.file, "SLUICE_S3_CA="+other.file), "let SLUICE_S3_CA"},
	} {
		out, err := command(t, c.env, "doctor").CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		cmd := command(t, append(c.env, "SLUICE_HTTP_ADDR=127.0.0.1:0"), "serve")
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "certificate signed by unknown authority") {
			t.Errorf("%s: serve: %v\n%s", name, err, out)
		}
	}
	for name, want := range map[string]string{ca.file + "-nothing": "SLUICE_S3_CA", written(t, "no.pem", "none"): "SLUICE_S3_CA"} {
		out, err := command(t, append(env, "SLUICE_S3_CA="+name), "doctor").CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

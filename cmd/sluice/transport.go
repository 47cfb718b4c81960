package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/doctor"
)

// insecure names a server that may be spoken to in the clear, or unverified.
type insecure string

const (
	insecurePostgres insecure = "postgres"
	insecureS3       insecure = "s3"
)

// UnmarshalText accepts postgres and s3.
func (i *insecure) UnmarshalText(text []byte) error {
	if *i = insecure(text); *i != insecurePostgres && *i != insecureS3 {
		return fmt.Errorf("%q is neither postgres nor s3", text)
	}
	return nil
}

// transport is how a server is spoken to.
type transport struct {
	host     string
	local    bool // nobody is between
	verified bool // by TLS, with a certificate for host
}

// secure tells whether nobody between can read, or answer instead.
func (t transport) secure() bool { return t.local || t.verified }

// check names the setting at fault, unless its server is among the permitted.
func (t transport) check(permitted []insecure, server insecure, setting, fix string) error {
	if t.secure() || slices.Contains(permitted, server) {
		return nil
	}
	return fmt.Errorf("%s: whoever is between could read what goes to %s, or answer in its place: %s; "+
		"in a network that you trust --insecure-transport=%s (SLUICE_INSECURE_TRANSPORT) permits it", setting, t.host, fix, server)
}

// onThisMachine tells whether a host, or a folder with a socket, is this machine's.
func onThisMachine(host string) bool {
	return strings.HasPrefix(host, "/") || host == "localhost" || net.ParseIP(host).IsLoopback()
}

// transport returns the least secure of the ways by which the URL may be followed:
// without sslmode=verify-full pgx may fall back to others.
func (s databaseSettings) transport() (transport, error) {
	cfg, err := pgxpool.ParseConfig(s.DatabaseURL.Reveal())
	if err != nil {
		return transport{}, err
	}
	way := func(host string, t *tls.Config) transport {
		return transport{host: host, local: onThisMachine(host), verified: t != nil && !t.InsecureSkipVerify}
	}
	least := way(cfg.ConnConfig.Host, cfg.ConnConfig.TLSConfig)
	for _, f := range cfg.ConnConfig.Fallbacks {
		if other := way(f.Host, f.TLSConfig); least.secure() && !other.secure() {
			least = other
		}
	}
	return least, nil
}

// checkTransport refuses what is not permitted, without showing the URL.
func (s databaseSettings) checkTransport() error {
	t, err := s.transport()
	if err != nil {
		return fmt.Errorf("--database-url (SLUICE_DATABASE_URL): %w", err)
	}
	return t.check(s.InsecureTransport, insecurePostgres, "--database-url (SLUICE_DATABASE_URL)",
		"add sslmode=verify-full and, for an authority of your own, sslrootcert=FILE")
}

func (s s3Settings) transport() transport {
	u, err := url.Parse(string(s.S3Endpoint))
	if err != nil || s.S3Endpoint == "" {
		return transport{host: "AWS", verified: true}
	}
	return transport{host: u.Hostname(), local: onThisMachine(u.Hostname()), verified: u.Scheme == "https"}
}

// checkTransport refuses what is not among the permitted.
func (s s3Settings) checkTransport(permitted []insecure) error {
	return s.transport().check(permitted, insecureS3, "--s3-endpoint (SLUICE_S3_ENDPOINT)",
		"make it https and, for an authority of your own, set --s3-ca (SLUICE_S3_CA)")
}

// authorities returns those of --s3-ca, nil for the machine's.
func (s s3Settings) authorities() (*x509.CertPool, error) {
	if s.S3CA == "" {
		return nil, nil //nolint:nilnil // the machine's own
	}
	text, err := os.ReadFile(s.S3CA)
	if err != nil {
		return nil, fmt.Errorf("--s3-ca (SLUICE_S3_CA): %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("--s3-ca (SLUICE_S3_CA): holds no certificate in PEM")
	}
	return pool, nil
}

// findings are what the doctor says of both.
func (s serverSettings) findings() ([]doctor.Finding, error) {
	database, err := s.databaseSettings.transport()
	if err != nil {
		return nil, err
	}
	return []doctor.Finding{
		database.finding("database: transport", "add sslmode=verify-full to SLUICE_DATABASE_URL"),
		s.s3Settings.transport().finding("bucket: transport", "make SLUICE_S3_ENDPOINT https"),
	}, nil
}

func (t transport) finding(check, fix string) doctor.Finding {
	switch {
	case t.verified:
		return doctor.Finding{Check: check, Status: doctor.OK, Detail: "TLS, with a certificate for " + t.host}
	case t.local:
		return doctor.Finding{Check: check, Status: doctor.OK, Detail: "on this machine"}
	}
	return doctor.Finding{Check: check, Status: doctor.Warn, Detail: "whoever is between can read what goes to " + t.host + ", or answer in its place, and SLUICE_INSECURE_TRANSPORT permits it", Fix: fix}
}

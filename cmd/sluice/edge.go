package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"sluice/gateway"
)

// edgeSettings are of the gateway's connections.
type edgeSettings struct {
	TLSCert       string        `name:"tls-cert" group:"HTTP" env:"SLUICE_TLS_CERT" placeholder:"FILE" help:"Certificate in PEM, those it depends on after it; with it the gateway speaks https only. Read anew when it changes. Empty: http, for a proxy before it."`
	TLSKey        string        `name:"tls-key" group:"HTTP" env:"SLUICE_TLS_KEY" placeholder:"FILE" help:"Its key, in PEM."`
	HeaderTimeout time.Duration `name:"header-timeout" group:"HTTP" default:"10s" env:"SLUICE_HEADER_TIMEOUT" help:"How long a client may take for TLS's handshake, and for a request's header."`
	IdleTimeout   time.Duration `name:"idle-timeout" group:"HTTP" default:"2m" env:"SLUICE_IDLE_TIMEOUT" help:"How long a connection may be without a request."`
	BodyStall     time.Duration `name:"body-stall" group:"HTTP" default:"1m" env:"SLUICE_BODY_STALL" help:"For how long a body may come slower than --body-rate before it is given up; of an upload is kept what came."`
	BodyRate      byteCount     `name:"body-rate" group:"HTTP" default:"512" env:"SLUICE_BODY_RATE" help:"Least bytes of a body a second, on average over --body-stall."`
}

// check names the setting at fault.
func (s edgeSettings) check() error {
	var errs []error
	if (s.TLSCert == "") != (s.TLSKey == "") {
		errs = append(errs, errors.New("--tls-cert (SLUICE_TLS_CERT) and --tls-key (SLUICE_TLS_KEY): give both or neither"))
	}
	if s.HeaderTimeout <= 0 || s.IdleTimeout <= 0 {
		errs = append(errs, errors.New("--header-timeout (SLUICE_HEADER_TIMEOUT) and --idle-timeout (SLUICE_IDLE_TIMEOUT): more than 0"))
	}
	if s.BodyStall < time.Second {
		errs = append(errs, errors.New("--body-stall (SLUICE_BODY_STALL): at least 1s"))
	}
	if s.BodyRate < 1 {
		errs = append(errs, errors.New("--body-rate (SLUICE_BODY_RATE): at least 1"))
	}
	return errors.Join(errs...)
}

// apply sets what of a gateway's configuration is its connections'.
func (s edgeSettings) apply(c *gateway.Config) {
	c.BodyStall, c.BodyRate = s.BodyStall, int64(s.BodyRate)
}

// server returns what serves handler, or why the certificate cannot be used. It
// speaks HTTP/1.1 only: over HTTP/2 all uploads of a client would share one
// connection's window, and end with it.
func (s edgeSettings) server(log *slog.Logger, handler http.Handler) (*http.Server, error) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: s.HeaderTimeout, IdleTimeout: s.IdleTimeout, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	if s.TLSCert == "" {
		return server, nil
	}
	pair := &keyPair{certFile: s.TLSCert, keyFile: s.TLSKey, log: log}
	if err := pair.load(); err != nil {
		return nil, fmt.Errorf("--tls-cert (SLUICE_TLS_CERT), --tls-key (SLUICE_TLS_KEY): %w", err)
	}
	server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}
	return server, nil
}

// reloadEvery is how long a certificate is used before its files are looked at
// again, which happens when a client connects.
const reloadEvery = time.Second

// keyPair is a certificate and its key, as they stand in two files. Goroutines may
// share it.
type keyPair struct {
	certFile, keyFile string
	log               *slog.Logger

	mu        sync.Mutex
	cert, key []byte // as last read, fit for use or not
	used      *tls.Certificate
	readAt    time.Time
}

// get is tls.Config's GetCertificate. A pair that cannot be used, such as one of
// which one file is written and the other not yet, leaves the old one in use.
func (p *keyPair) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.readAt) >= reloadEvery {
		if err := p.load(); err != nil {
			p.log.ErrorContext(hello.Context(), "new certificate not used, the old one is", "err", err)
		}
	}
	return p.used, nil
}

// load reads the files, and takes the pair where it is new and holds together. It
// complains of each that does not once.
func (p *keyPair) load() error {
	p.readAt = time.Now()
	cert, err := os.ReadFile(p.certFile)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(p.keyFile)
	if err != nil {
		return err
	}
	if bytes.Equal(cert, p.cert) && bytes.Equal(key, p.key) {
		return nil
	}
	p.cert, p.key = cert, key
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return err
	}
	if p.used != nil {
		p.log.Info("certificate reloaded", "serial", pair.Leaf.SerialNumber.String(), "ends_at", pair.Leaf.NotAfter)
	}
	p.used = &pair
	return nil
}

// listen runs server at addr until ctx ends, then lets requests under way finish
// for drainTimeout.
func listen(ctx context.Context, log *slog.Logger, name string, addr address, server *http.Server) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", string(addr))
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	server.MaxHeaderBytes, server.ErrorLog = maxHeaderBytes, slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	drained := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(drained)
		// ctx has ended; draining has a time of its own.
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	log.InfoContext(ctx, "listening", "server", name, "address", listener.Addr().String(), "version", version())
	if server.TLSConfig != nil {
		err = server.ServeTLS(listener, "", "")
	} else {
		err = server.Serve(listener)
	}
	if stop() {
		return fmt.Errorf("serve %s: %w", name, err) // ctx goes on: Serve ended by itself
	}
	<-drained
	return nil
}

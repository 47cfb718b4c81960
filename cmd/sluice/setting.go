package main

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// byteCount is a size in bytes, written as 500000, 512KiB, 8MiB, 2GiB or 1TiB.
type byteCount int64

// UnmarshalText reads a size; kong adds the flag's and the variable's name to its error.
func (b *byteCount) UnmarshalText(text []byte) error {
	digits, shift := string(text), 0
	for i, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if rest, ok := strings.CutSuffix(digits, unit); ok {
			digits, shift = rest, 10*(i+1)
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return fmt.Errorf("%q is not a size in bytes such as 500000, 8MiB or 2GiB", text)
	}
	*b = byteCount(n << shift)
	return nil
}

// address is a listener's host:port; empty where none was given.
type address string

// UnmarshalText checks that text is host:port with a numeric port, or empty.
func (a *address) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	_, port, err := net.SplitHostPort(string(text))
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is not an address such as 127.0.0.1:8080", text)
	}
	*a = address(text)
	return nil
}

// loopback reports whether only this machine can reach the address.
func (a address) loopback() bool {
	host, _, err := net.SplitHostPort(string(a))
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

// httpURL is an absolute http or https URL; empty where none was given.
type httpURL string

// UnmarshalText checks scheme and host, or accepts an empty text.
func (u *httpURL) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	parsed, err := url.Parse(string(text))
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" {
		return fmt.Errorf("%q is not a URL such as http://127.0.0.1:8080", text)
	}
	*u = httpURL(text)
	return nil
}

// origin is scheme, host and port of a page, as a browser writes it in its
// Origin header: in lower case, without the scheme's own port.
type origin string

// UnmarshalText refuses what no browser would ever send.
func (o *origin) UnmarshalText(text []byte) error {
	u, err := url.Parse(string(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+strings.ToLower(u.Host) != string(text) ||
		u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443" {
		return fmt.Errorf("%q is not an origin such as https://shop.example or http://127.0.0.1:9000", text)
	}
	*o = origin(text)
	return nil
}

// texts returns the origins as the gateway takes them.
func texts(origins []origin) []string {
	all := make([]string, len(origins))
	for i, o := range origins {
		all[i] = string(o)
	}
	return all
}

// logSettings say what is logged, to standard error.
type logSettings struct {
	LogLevel  logLevel  `group:"Log" default:"info" env:"SLUICE_LOG_LEVEL" help:"Least level logged: debug, info, warn or error."`
	LogFormat logFormat `group:"Log" default:"text" env:"SLUICE_LOG_FORMAT" help:"text or json."`
}

type logLevel slog.Level

// UnmarshalText accepts debug, info, warn and error.
func (l *logLevel) UnmarshalText(text []byte) error {
	if err := (*slog.Level)(l).UnmarshalText(text); err != nil {
		return fmt.Errorf("%q is none of debug, info, warn and error", text)
	}
	return nil
}

type logFormat string

// UnmarshalText accepts text and json.
func (f *logFormat) UnmarshalText(text []byte) error {
	if *f = logFormat(text); *f != "text" && *f != "json" {
		return fmt.Errorf("%q is neither text nor json", text)
	}
	return nil
}

func (s logSettings) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.Level(s.LogLevel)}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

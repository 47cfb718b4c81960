// Package secret provides a text that nobody is shown by accident: a key, a password,
// a URL with one in it. It knows nothing of what a secret is for.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what is shown of every Text but an empty one, which stays empty: that a
// secret is missing is no secret.
const Redacted = "REDACTED"

// Text is a secret. Printed by any verb, logged, or written as JSON, YAML or XML, by
// itself or within something else, it is [Redacted]; a copy read back is lost.
type Text string

// Reveal returns the secret, for whom it is meant.
func (t Text) Reveal() string { return string(t) }

// String implements [fmt.Stringer].
func (t Text) String() string {
	if t == "" {
		return ""
	}
	return Redacted
}

// GoString implements [fmt.GoStringer].
func (t Text) GoString() string { return t.String() }

// Format implements [fmt.Formatter], for verbs such as %x that ask for no String.
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) } // its reader is fmt

// LogValue implements [slog.LogValuer].
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText implements [encoding.TextMarshaler], and so JSON's.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *Text) UnmarshalText(text []byte) error {
	*t = Text(text)
	return nil
}

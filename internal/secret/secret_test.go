package secret_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"sluice/internal/secret"
)

// config is what somebody logs whole.
type config struct {
	Name string
	Key  secret.Text
	More []secret.Text
	By   map[string]secret.Text
}

// However it is written a secret is not.
func TestTextIsRedacted(t *testing.T) {
	t.Parallel()
	const canary = "canary-Zaunkoenig"
	c := config{"n", canary, []secret.Text{canary}, map[string]secret.Text{"k": canary}}
	var shown bytes.Buffer
	for _, v := range []any{c, &c, c.Key, &c.Key, c.More, c.By, fmt.Errorf("open %s: %w", c.Key, fmt.Errorf("%v", c.Key))} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%T %[1]v", "%10.3s"} {
			fmt.Fprintf(&shown, verb+"\n", v)
		}
		fmt.Fprintln(&shown, v)
		for _, h := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
			slog.New(h).Info("message", "value", v, slog.Group("g", "value", v))
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		shown.Write(text)
	}
	text, err := xml.Marshal(c.Key)
	if err != nil {
		t.Fatal(err)
	}
	shown.Write(text)
	for _, form := range []string{canary, hex.EncodeToString([]byte(canary)), strings.ToUpper(hex.EncodeToString([]byte(canary))), canary[:3]} {
		if strings.Contains(shown.String(), form) {
			t.Errorf("%q is shown:\n%s", form, &shown)
		}
	}
	if n := strings.Count(shown.String(), secret.Redacted); n < 100 {
		t.Errorf("it is redacted %d times:\n%s", n, &shown)
	}
}

// Who needs it has it, and what is empty says so.
func TestTextIsKept(t *testing.T) {
	t.Parallel()
	var c config
	if err := json.Unmarshal([]byte(`{"Key": "canary"}`), &c); err != nil || c.Key.Reveal() != "canary" {
		t.Errorf("%q, %v", c.Key.Reveal(), err)
	}
	if got := fmt.Sprintf("%s|%v|%#v", secret.Text(""), secret.Text(""), secret.Text("")); got != "||" {
		t.Errorf("an empty one is %q", got)
	}
}

package gateway_test

import (
	"strings"
	"testing"

	"sluice/gateway"
)

func TestCreationIsChecked(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gateway.Config) { c.MaxUploadBytes = 100 })
	length := func(more ...string) fields { return tus(append(more, "Upload-Length", "3")...) }
	withMeta := func(m string) fields { return length("Upload-Metadata", m) }
	for name, c := range map[string]struct {
		header fields
		status int
		detail string
	}{
		"no version":      {fields{"Upload-Length": "3"}, 412, "Tus-Resumable"},
		"no length":       {tus(), 400, "Upload-Length"},
		"negative length": {tus("Upload-Length", "-1"), 400, "Upload-Length"},
		"two lengths":     {length("Upload-Defer-Length", "1"), 400, "Upload-Length"},
		"too long":        {tus("Upload-Length", "101"), 413, "maximum"},
		"concat of what":  {length("Upload-Concat", "half"), 400, "Upload-Concat"},
		"concat":          {tus("Upload-Concat", "final;/files/a /files/b"), 400, "/files/a is not"},
		"not base64":      {withMeta("filename a.csv"), 400, "filename"},
		"no pair":         {withMeta(","), 400, "Upload-Metadata"},
		"key twice":       {withMeta(metadata("a", "1", "b", "2", "a", "3")), 400, "a: is given twice"},
		"key not ASCII":   {withMeta("schlüssel YQ=="), 400, "Upload-Metadata"},
		"three words":     {withMeta("a YQ== YQ=="), 400, "a: "},
		"name not UTF-8":  {withMeta(metadata("filename", "\xff")), 400, "filename"},
		"name with NUL":   {withMeta(metadata("filename", "a\x00b")), 400, "filename"},
		"short digest":    {withMeta(metadata("sha256", "abcd")), 400, "sha256"},
		"digest not hex":  {withMeta(metadata("sha256", strings.Repeat("xy", 32))), 400, "sha256"},
		"empty digest":    {withMeta(metadata("sha256", "")), 400, "sha256"},
		"credit not JSON": {withMeta(metadata("credit_model_config", "{")), 400, "credit_model_config"},
		"credit key":      {withMeta(metadata("credit_model_config", `{"rolling_periods":3}`)), 400, "credit_model_config.rolling_periods"},
		"aggregate group": {withMeta(metadata("aggregate_config", `{"group_by":["month"]}`)), 400, "aggregate_config.group_by"},
		"parse key":       {withMeta(metadata("parse_config", `{"date_fromat":"YYMMDD"}`)), 400, "parse_config.date_fromat"},
		"too much":        {withMeta(metadata("x", strings.Repeat("x", 16<<10))), 400, "16 KiB"},
	} {
		a := s.do("POST", "/files/", c.header, strings.NewReader("abc"))
		wantProblem(t, a, c.status, name)
		if !strings.Contains(a.body, c.detail) {
			t.Errorf("%s: %s does not name %s", name, a.body, c.detail)
		}
		if a.header.Get("Tus-Resumable") != "1.0.0" || c.status == 412 && a.header.Get("Tus-Version") != "1.0.0" {
			t.Errorf("%s: headers %v", name, a.header)
		}
	}
	if got := s.get("/api/jobs/").body; !strings.Contains(got, `"jobs":[]`) {
		t.Errorf("a refused creation left a job: %s", got)
	}
	if a := s.do("OPTIONS", "/files/", nil, nil); a.header.Get("Tus-Max-Size") != "100" {
		t.Errorf("Tus-Max-Size is %s", a.header.Get("Tus-Max-Size"))
	}
}

package main_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// otlpCollector takes traces as OpenTelemetry's collector does: OTLP over HTTP.
type otlpCollector struct {
	mu    sync.Mutex
	took  []*otlp.ResourceSpans
	wrong []string
}

func collect(t *testing.T) (*otlpCollector, []string) {
	t.Helper()
	c := &otlpCollector{}
	web := httptest.NewServer(c)
	t.Cleanup(web.Close)
	return c, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + web.URL, "OTEL_EXPORTER_OTLP_COMPRESSION=gzip"}
}

func (c *otlpCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			c.wrong = append(c.wrong, err.Error())
			return
		}
		body = unzipped
	}
	message, err := io.ReadAll(body)
	var export collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(message, &export)
	}
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.wrong = append(c.wrong, r.URL.Path+" "+r.Header.Get("Content-Type"))
		return
	}
	c.took = append(c.took, export.ResourceSpans...)
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty answer is "all taken"
}

// exported is a span and the process that it came from.
type exported struct {
	*otlp.Span

	service string
}

// spans returns all that was taken, and fails the test where it was not well-formed.
func (c *otlpCollector) spans(t *testing.T) (all []exported) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.wrong) > 0 {
		t.Fatalf("the collector was sent %v", c.wrong)
	}
	for _, of := range c.took {
		service := ""
		for _, a := range of.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				all = append(all, exported{s, service})
			}
		}
	}
	return all
}

// sendInTwo sends the canary by tus, as a client that names its own trace: a POST
// and two PATCHes. It returns the job's id.
func sendInTwo(t *testing.T, url, traceparent string) string {
	t.Helper()
	do := func(method, to, body string, header map[string]string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, to, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Tus-Resumable": {"1.0.0"}, "Authorization": {"Bearer " + canaryKey}}
		for k, v := range header {
			r.Header.Set(k, v)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 300 {
			text, _ := io.ReadAll(resp.Body)
			t.Fatalf("%s %s: %d %s", method, to, resp.StatusCode, text)
		}
		return resp
	}
	half := len(canary) / 2
	created := do(http.MethodPost, url+"/files/", "", map[string]string{
		"Upload-Length": itoa(len(canary)), "Upload-Metadata": "filename " + base64.StdEncoding.EncodeToString([]byte(canaryFile)), "Traceparent": traceparent,
	})
	location := created.Header.Get("Location")
	for _, at := range []int{0, half} {
		body := canary[at:min(at+half, len(canary))]
		if at > 0 {
			body = canary[at:]
		}
		do(http.MethodPatch, url+location, body, map[string]string{"Upload-Offset": itoa(at), "Content-Type": "application/offset+octet-stream"})
	}
	return location[strings.LastIndex(location, "/")+1:]
}

// From the POST that creates an upload to its offers all is one trace, although
// three requests and two processes take part in it; and nothing in it says whose
// file it is, or what it holds.
func TestOneTrace(t *testing.T) {
	t.Parallel()
	traces, env := collect(t)
	env = append(append(stackEnv(t), env...), "SLUICE_LOG_FORMAT=json", "SLUICE_HTTP_ADDR=127.0.0.1:0", "SLUICE_OPS_ADDR=127.0.0.1:0")
	gateway := launch(t, command(t, append(slices.Clone(env), "OTEL_SERVICE_NAME=the-gateway"), "serve"))
	worker := launch(t, command(t, append(slices.Clone(env), "OTEL_SERVICE_NAME=the-worker"), "work"))
	const client = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	id := sendInTwo(t, gateway.url, client)
	eventually(t, "the job's end", func(context.Context) bool { return gateway.status(t, id).State == "JOB_COMPLETE" })
	gateway.stop(t) // the end of a process sends what is left
	worker.stop(t)

	ids, count, services := map[string]bool{client[36:52]: true}, map[string]int{}, map[string]string{}
	spans := traces.spans(t)
	for _, s := range spans {
		ids[hex.EncodeToString(s.SpanId)] = true
		count[s.Name]++
		services[s.Name] = s.service
		if got := hex.EncodeToString(s.TraceId); got != client[3:35] {
			t.Errorf("%s is of the trace %s", s.Name, got)
		}
	}
	for _, s := range spans {
		if !ids[hex.EncodeToString(s.ParentSpanId)] {
			t.Errorf("%s is below no span", s.Name)
		}
		seen(t, s)
	}
	for name, want := range map[string]struct {
		n       int
		service string
	}{
		"POST /files": {1, "the-gateway"}, "PATCH /files/:id": {2, "the-gateway"}, "store part": {2, "the-gateway"}, "commit parts": {2, "the-gateway"},
		"enqueue": {1, "the-gateway"}, "attempt": {1, "the-worker"}, "parse": {1, "the-worker"}, "rollup": {1, "the-worker"},
		"write aggregates": {1, "the-worker"}, "score and write offers": {1, "the-worker"}, "commit result": {1, "the-worker"},
	} {
		if count[name] != want.n || services[name] != want.service {
			t.Errorf("%d spans %q of %q, want %d of %q", count[name], name, services[name], want.n, want.service)
		}
	}
}

// seen fails the test where a span says more than anybody may read.
func seen(t *testing.T, s exported) {
	t.Helper()
	known := []string{"sluice.job_id", "http.response.status_code", "bytes", "rows"}
	for _, a := range s.Attributes {
		if !slices.Contains(known, a.Key) {
			t.Errorf("%s has the attribute %s", s.Name, a.Key)
		}
	}
	text, err := prototext.Marshal(s.Span)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{canaryFile, canaryAccount, canaryCell, canaryKey, "uploads/", "results/", "default"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s holds %q: %s", s.Name, secret, text)
		}
	}
}

// A collector that is not there costs no file and no clean end.
func TestNoCollector(t *testing.T) {
	t.Parallel()
	s := serve(t, append(stackEnv(t), "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"), "127.0.0.1:0")
	upload(t, s.url, written(t, canaryFile, canary))
	s.stop(t)
	if log := s.tail.String(); !strings.Contains(log, "traces not sent") {
		t.Errorf("nobody is told:\n%s", log)
	}
}

// Without the standard variables, or where they say so, nothing is sent.
func TestNoTraces(t *testing.T) {
	t.Parallel()
	traces, env := collect(t)
	s := serve(t, append(append(stackEnv(t), env...), "OTEL_SDK_DISABLED=true"), "127.0.0.1:0")
	upload(t, s.url, written(t, canaryFile, canary))
	s.stop(t)
	if spans := traces.spans(t); len(spans) > 0 {
		t.Errorf("%d spans were sent", len(spans))
	}
}

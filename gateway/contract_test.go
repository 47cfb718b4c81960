package gateway_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"sluice/gateway"
)

// contract is openapi.yaml, by which keepsContract finds what an answer must be.
var contract = sync.OnceValues(func() (routers.Router, error) {
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(loader.Context); err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// keepsContract fails the test where an answer is not what openapi.yaml says.
// Every request of this package's tests passes here, so what a handler can
// answer is compared as far as it is tested at all.
func (s *server) keepsContract(r *http.Request, resp *http.Response, body []byte) {
	s.t.Helper()
	router, err := contract()
	if err != nil {
		s.t.Fatalf("openapi.yaml: %v", err)
	}
	asked := asDocumented(r)
	route, params, err := router.FindRoute(asked)
	if err != nil {
		if undocumented := []int{401, 403, 404, 405, 421}; !slices.Contains(undocumented, resp.StatusCode) && !ofPage(r) {
			s.t.Errorf("%s %s answers %d and is not in openapi.yaml: %v", r.Method, r.URL.Path, resp.StatusCode, err)
		}
		return
	}
	media, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: route},
		Status:                 resp.StatusCode, Header: resp.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true,
			// A body is compared where it is JSON; of others the media type is.
			ExcludeResponseBody: media != "application/json" && media != "application/problem+json" || r.Method == http.MethodHead,
		},
	}
	if err := openapi3filter.ValidateResponse(s.t.Context(), input); err != nil {
		s.t.Errorf("%s %s answers %d, against openapi.yaml: %v\n%.2000s", r.Method, r.URL.Path, resp.StatusCode, err, body)
	}
	if resp.StatusCode < http.StatusMultipleChoices {
		s.askedByContract(r, input.RequestValidationInput)
	}
	switch given := route.Operation.Responses.Status(resp.StatusCode); {
	case given == nil:
		s.t.Errorf("%s %s answers %d, which openapi.yaml does not have", r.Method, r.URL.Path, resp.StatusCode)
	case len(body) > 0 && given.Value.Content.Get(media) == nil:
		s.t.Errorf("%s %s answers %d with %s, which openapi.yaml does not have", r.Method, r.URL.Path, resp.StatusCode, media)
	}
}

// askedByContract fails the test where a request that was served is not one that
// openapi.yaml allows: by its parameters, all of which must be there, and its body.
func (s *server) askedByContract(r *http.Request, input *openapi3filter.RequestValidationInput) {
	s.t.Helper()
	asked := input.Request
	input.Options = &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		// A body is compared where it is JSON and can be read once more.
		ExcludeRequestBody: !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") || r.GetBody == nil,
	}
	if r.GetBody != nil {
		asked.Body, _ = r.GetBody() // of a reader in memory
	}
	if err := openapi3filter.ValidateRequest(s.t.Context(), input); err != nil {
		s.t.Errorf("%s %s is served, against openapi.yaml: %v", asked.Method, asked.URL, err)
	}
	for name := range asked.URL.Query() {
		known := func(ps openapi3.Parameters) bool { return ps.GetByInAndName(openapi3.ParameterInQuery, name) != nil }
		if !known(input.Route.Operation.Parameters) && !known(input.Route.PathItem.Parameters) {
			s.t.Errorf("%s %s is served, and openapi.yaml does not have the parameter %s", asked.Method, asked.URL, name)
		}
	}
}

// asDocumented returns the request as openapi.yaml spells it: with the trailing
// slash of /api, under the first of two bases, and a HEAD as the GET it is.
func asDocumented(r *http.Request) *http.Request {
	path := strings.TrimSuffix(r.URL.Path, "/")
	if !strings.HasSuffix(path, "/upload") && !strings.HasSuffix(path, "/complete") { // which are there alone
		path = strings.Replace(path, "/api/financial-transactions/jobs/", "/api/jobs/", 1)
	}
	if strings.HasPrefix(path, "/api/") || path == "/files" {
		path += "/"
	}
	method := r.Method
	if override := r.Header.Get("X-HTTP-Method-Override"); override != "" && strings.HasPrefix(path, "/files") {
		method = override
	}
	if method == http.MethodHead && !strings.HasPrefix(path, "/files/") {
		method = http.MethodGet
	}
	return &http.Request{Method: method, URL: &url.URL{Scheme: "http", Host: "sluice.test", Path: path, RawQuery: r.URL.RawQuery}, Header: r.Header}
}

// ofPage tells whether the request is for the page, its files, River UI or what tus asks first.
func ofPage(r *http.Request) bool {
	return r.Method == http.MethodOptions || strings.HasPrefix(r.URL.Path, "/admin/queue") || slices.Contains([]string{"/", "/docs", "/docs/", "/app.js", "/docs.js", "/style.css", "/openapi.yaml"}, r.URL.Path)
}

func TestContractIsServed(t *testing.T) {
	t.Parallel()
	s := start(t)
	want, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if a := s.get("/openapi.yaml"); a.body != string(want) || a.header.Get("Content-Type") != "application/yaml" {
		t.Errorf("got %d %s, %d bytes", a.status, a.header.Get("Content-Type"), len(a.body))
	}
}

// Every route is in openapi.yaml but the page's own files, and what tus asks
// first; and all that is there is routed.
func TestContractIsWhole(t *testing.T) {
	t.Parallel()
	s := start(t)
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("openapi.yaml is of version %s", doc.OpenAPI)
	}
	documented := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			documented[method+" "+path] = true
			a := s.do(method, strings.ReplaceAll(path, "{id}", "job_none"), nil, nil)
			if a.status == http.StatusMethodNotAllowed || a.status == http.StatusNotFound && strings.Contains(a.body, "nothing at this path") {
				t.Errorf("%s %s is not routed: %d %s", method, path, a.status, a.body)
			}
		}
	}
	for _, route := range gateway.Routes() {
		method, path, _ := strings.Cut(route, " ")
		other := strings.Replace(path, "/api/financial-transactions/jobs/{id}", "/api/jobs/{id}", 1)
		of := documented[method+" "+path] || documented[method+" "+other] || method == http.MethodHead && documented["GET "+other] || method == http.MethodHead && documented["GET "+path]
		if !of && !ofPage(&http.Request{Method: method, URL: &url.URL{Path: path}}) {
			t.Errorf("%s is not in openapi.yaml", route)
		}
	}
}

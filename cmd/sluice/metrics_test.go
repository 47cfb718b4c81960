package main_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// What must be found nowhere but where it belongs: in no label and no log.
const (
	canaryFile    = "canary-Kohlmeise.csv"
	canaryAccount = "canaryAccount4711"
	canaryCell    = "canary-no-amount"
	canaryKey     = "canary-key-8c1f0b"
)

// canary is a file with one good row and one that is rejected.
const canary = "account_id,date,amount\n" + canaryAccount + ",2024-01-15,12.34\n" + canaryAccount + ",2024-01-16," + canaryCell + "\n"

// metered is a server that took the canary in, and what it then shows.
type metered struct {
	*server
	job      string
	families map[string]*dto.MetricFamily
	text     string
}

func meter(t *testing.T) metered {
	t.Helper()
	s := serve(t, append(stackEnv(t), "SLUICE_API_KEY="+canaryKey, "SLUICE_LOG_LEVEL=debug"), "127.0.0.1:0")
	m := metered{server: s, job: upload(t, s.url, "--api-key="+canaryKey, written(t, canaryFile, canary))}
	// The attempt is counted after the commit that the client hears of.
	eventually(t, "the attempt to be counted", func(ctx context.Context) bool {
		m.text = scrape(ctx, t, s.url)
		return strings.Contains(m.text, `sluice_job_rejects_total{reason="bad_amount"} 1`)
	})
	text := expfmt.NewTextParser(model.UTF8Validation)
	families, err := text.TextToMetricFamilies(strings.NewReader(m.text))
	if err != nil {
		t.Fatalf("parse /metrics: %v", err)
	}
	m.families = families
	return m
}

func scrape(ctx context.Context, t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+canaryKey)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET /metrics: %d, %v\n%s", resp.StatusCode, err, body)
	}
	return string(body)
}

// Every series in the dashboard and the alert rules is one that the binary has,
// with the labels that are asked for.
func TestOpsFilesMatchMetrics(t *testing.T) {
	t.Parallel()
	m := meter(t)
	for name, expr := range dashboardExprs(t) {
		m.compare(t, name, expr)
	}
	for name, expr := range alertExprs(t) {
		m.compare(t, name, expr)
	}
	m.stop(t)
}

func dashboardExprs(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("ops/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			ID          int
			Type, Title string
			Targets     []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	exprs, ids := map[string]string{}, map[int]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			exprs[p.Title+": "+target.LegendFormat] = strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
		}
	}
	return exprs
}

func alertExprs(t *testing.T) map[string]string {
	t.Helper()
	groups, errs := rulefmt.ParseFile("ops/alerts.yml", false, model.UTF8Validation)
	if len(errs) > 0 {
		t.Fatalf("ops/alerts.yml: %v", errs)
	}
	exprs := map[string]string{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			exprs[r.Alert] = r.Expr
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("alert %s does not say what to do", r.Alert)
			}
		}
	}
	if len(exprs) == 0 {
		t.Error("ops/alerts.yml has no alert")
	}
	return exprs
}

// labelsOfPrometheus are those that no process sets itself.
var labelsOfPrometheus = []string{model.MetricNameLabel, "instance", "job", "le"}

func (m metered) compare(t *testing.T, name, expr string) {
	t.Helper()
	parsed, err := parser.ParseExpr(expr)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	has, grouped := map[string]bool{}, []string{}
	parser.Inspect(parsed, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			family := m.family(n.Name)
			if family == nil {
				t.Errorf("%s: /metrics has no %s", name, n.Name)
				return nil
			}
			of := labelNames(family)
			for _, matcher := range n.LabelMatchers {
				if !slices.Contains(of, matcher.Name) && !slices.Contains(labelsOfPrometheus, matcher.Name) {
					t.Errorf("%s: %s has no label %s", name, n.Name, matcher.Name)
				}
			}
			for _, l := range of {
				has[l] = true
			}
		case *parser.AggregateExpr:
			grouped = append(grouped, n.Grouping...)
		}
		return nil
	})
	for _, l := range grouped {
		if !has[l] && !slices.Contains(labelsOfPrometheus, l) {
			t.Errorf("%s: grouped by %s, which no series of it has", name, l)
		}
	}
}

// family finds the metric of a series' name.
func (m metered) family(series string) *dto.MetricFamily {
	if f := m.families[series]; f != nil {
		return f
	}
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if base, ok := strings.CutSuffix(series, suffix); ok && m.families[base].GetType() == dto.MetricType_HISTOGRAM {
			return m.families[base]
		}
	}
	return nil
}

func labelNames(f *dto.MetricFamily) []string {
	names := map[string]bool{}
	for _, series := range f.Metric {
		for _, l := range series.Label {
			names[l.GetName()] = true
		}
	}
	return slices.Collect(maps.Keys(names))
}

// boundedLabels are all labels of our own, each of few values: a new one is to be thought about.
var boundedLabels = map[string]*regexp.Regexp{
	"route":     regexp.MustCompile(`^(/[a-zA-Z0-9:._*/-]*)?$`), // a pattern, never a path
	"method":    regexp.MustCompile(`^[A-Za-z]+$`),
	"status":    regexp.MustCompile(`^[0-9]{1,3}$`),
	"operation": regexp.MustCompile(`^[A-Z][A-Za-z0-9]+$`), // of the S3 API
	"state":     regexp.MustCompile(`^[A-Z_]+$`),
	"outcome":   regexp.MustCompile(`^[a-z_]+$`),
	"verdict":   regexp.MustCompile(`^(accepted|rejected)$`),
	"reason":    regexp.MustCompile(`^[a-z0-9_]+$`),
}

// Neither /metrics nor the log holds what belongs to a tenant, or opens a door.
func TestNoTenantDataInMetricsAndLog(t *testing.T) {
	t.Parallel()
	m := meter(t)
	for name, f := range m.families {
		if !strings.HasPrefix(name, "sluice_") {
			continue // the Go runtime's, the process's, and tusd's, which have no labels but method and code
		}
		for _, series := range f.Metric {
			for _, l := range series.Label {
				if bounds := boundedLabels[l.GetName()]; bounds == nil || !bounds.MatchString(l.GetValue()) {
					t.Errorf("%s has the label %s=%q", name, l.GetName(), l.GetValue())
				}
			}
		}
	}
	m.stop(t)
	log := strings.Join(m.tail.all(), "\n")
	if !strings.Contains(log, m.job) {
		t.Error("the log does not tell of the job: it cannot prove anything")
	}
	for _, secret := range []string{canaryFile, canaryAccount, canaryCell, canaryKey, "uploads/default", "results/default"} {
		if strings.Contains(m.text, secret) {
			t.Errorf("/metrics holds %q", secret)
		}
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if strings.Contains(m.text, m.job) {
		t.Error("/metrics holds the job's id")
	}
}

package upload_test

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/job"
	"sluice/internal/upload"
)

func TestNewChecksConfig(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, spoil := range map[string]func(*upload.Config){
		"no pool":      func(c *upload.Config) { c.Pool = nil },
		"no jobs":      func(c *upload.Config) { c.Jobs = nil },
		"no bucket":    func(c *upload.Config) { c.Bucket = nil },
		"small part":   func(c *upload.Config) { c.PartBytes = 7 },
		"small budget": func(c *upload.Config) { c.BufferBytes = 1000 },
		"no part":      func(c *upload.Config) { c.PartsInFlight = -1 },
		"no expiry":    func(c *upload.Config) { c.Expiry = -1 },
	} {
		cfg := w.cfg
		spoil(&cfg)
		if _, err := upload.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	meta := handler.MetaData{"filename": "Ümsätze.csv", "parse_config": `{"delimiter":";"}`, "binary": "\x00\xff", "empty": ""}
	id := job.NewID()
	_, err := w.store.NewUpload(job.WithTenant(t.Context(), "acme"), handler.FileInfo{ID: id, SizeIsDeferred: true, MetaData: meta})
	w.must(err)
	info, err := w.store.Info(t.Context(), "acme", id)
	w.must(err)
	if info.ID != id || info.Tenant != "acme" || info.SizeBytes != -1 || info.OffsetBytes != 0 || info.Complete {
		t.Errorf("info is %+v", info)
	}
	if !maps.Equal(info.Metadata, meta) {
		t.Errorf("metadata is %q", info.Metadata)
	}
	j, err := w.jobs.Get(t.Context(), "acme", id)
	w.must(err)
	if j.State != job.Open || j.Channel != "tus" || j.Filename != "Ümsätze.csv" || j.ParseConfig != `{"delimiter":";"}` || j.SHA256 != nil {
		t.Errorf("job is %+v", j)
	}
}

func TestOthersUploadsAreNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(10)
	_, err := w.store.Info(t.Context(), "acme", id)
	w.wantError(err, handler.ErrNotFound)
	_, err = w.store.GetUpload(job.WithTenant(t.Context(), "acme"), id)
	w.wantError(err, handler.ErrNotFound)
	_, err = w.store.GetUpload(t.Context(), job.NewID())
	w.wantError(err, handler.ErrNotFound)
}

func TestBadMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for key, value := range map[string]string{
		"sha256": "abc", "filename": "a\x00b", "parse_config": "\xff", "credit_model_config": "\x00", "aggregate_config": "\xfe",
	} {
		_, err := w.store.NewUpload(t.Context(), handler.FileInfo{Size: 1, MetaData: handler.MetaData{key: value}})
		var told handler.Error
		if !errors.As(err, &told) || told.HTTPResponse.StatusCode != http.StatusBadRequest || !strings.Contains(told.HTTPResponse.Body, key) {
			t.Errorf("%s: error is %v", key, err)
		}
	}
	good := strings.Repeat("0aF9", 16)
	_, err := w.store.NewUpload(t.Context(), handler.FileInfo{Size: 1, MetaData: handler.MetaData{"sha256": good}})
	w.must(err)
}

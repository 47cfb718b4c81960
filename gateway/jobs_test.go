package gateway_test

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"sluice/internal/job"
)

// listed walks all pages of the list and returns the ids in order.
func (s *server) listed(query url.Values, limit int) (ids []string) {
	s.t.Helper()
	query.Set("limit", fmt.Sprint(limit))
	for {
		var page struct {
			Jobs []struct {
				JobID string `json:"job_id"`
			}
			NextCursor *string `json:"next_cursor"`
		}
		s.read("/api/jobs/?"+query.Encode(), &page)
		if len(page.Jobs) > limit || len(page.Jobs) < limit && page.NextCursor != nil {
			s.t.Fatalf("a page of %d has %d jobs", limit, len(page.Jobs))
		}
		for _, j := range page.Jobs {
			ids = append(ids, j.JobID)
		}
		if page.NextCursor == nil {
			return ids
		}
		query.Set("cursor", *page.NextCursor)
	}
}

func TestListOfJobs(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.queued(job.Draft{Tenant: "other", Filename: "other.csv"})
	var all []string
	for i := range 9 {
		all = append(all, s.queued(job.Draft{Filename: fmt.Sprintf("Month-%d.csv", i)}))
	}
	slices.Sort(all) // ids of one millisecond are in no other order
	slices.Reverse(all)
	for _, limit := range []int{1, 3, 4, 9, 200} {
		if got := s.listed(url.Values{}, limit); !slices.Equal(got, all) {
			t.Errorf("pages of %d: got %v, want %v", limit, got, all)
		}
	}
	s.claim(job.DefaultTenant, all[4])
	for name, c := range map[string]struct {
		query url.Values
		want  int
	}{
		"state":        {url.Values{"state": {"IN_PROGRESS"}}, 1},
		"other state":  {url.Values{"state": {"UPLOAD_COMPLETE"}}, 8},
		"no such":      {url.Values{"state": {"FAILED"}}, 0},
		"channel":      {url.Values{"channel": {"tus"}}, 9},
		"channel none": {url.Values{"channel": {"batch"}}, 0},
		"name":         {url.Values{"q": {"month-3"}}, 1},
		"foreign name": {url.Values{"q": {"other"}}, 0},
		"id":           {url.Values{"q": {all[2]}}, 1},
	} {
		if got := s.listed(c.query, 5); len(got) != c.want {
			t.Errorf("%s: got %d jobs, want %d", name, len(got), c.want)
		}
	}
}

func TestEmptyListIsAList(t *testing.T) {
	t.Parallel()
	s := start(t)
	if got, want := s.get("/api/jobs/").body, `{"jobs":[],"next_cursor":null}`+"\n"; got != want {
		t.Errorf("got %s", got)
	}
}

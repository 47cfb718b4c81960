package pipeline_test

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"testing"

	"sluice/internal/pipeline"
)

// TestBudgetChangesNothing holds that sums which went to files give the same
// aggregates, byte by byte, and the same offers in the same order.
func TestBudgetChangesNothing(t *testing.T) {
	t.Parallel()
	rows := []string{"account_id,date,amount"}
	for i := range 30_000 {
		rows = append(rows, fmt.Sprintf("ACC%d,2024-%02d-%02d,%d.5", i*7919%3000, 1+i%12, 1+i%28, i%500-200))
	}
	file, dir := lines(rows...), t.TempDir()
	run := func(memoryBytes int64) (parquet string, offers []pipeline.Offer) {
		in := job{file: file}.input(t)
		in.MemoryBytes, in.TempDir = memoryBytes, dir
		var out bytes.Buffer
		result, err := pipeline.Run(t.Context(), in, pipeline.Sinks{Aggregates: &out})
		if err != nil {
			t.Fatal(err)
		}
		for o, err := range result.Offers() {
			if err != nil {
				t.Fatal(err)
			}
			offers = append(offers, o)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("files with names while they are in use: %v, %v", left, err)
		}
		if err := result.Close(); err != nil {
			t.Error(err)
		}
		return out.String(), offers
	}
	parquet, offers := run(0)
	for _, budget := range []int64{1, 100_000} {
		gotParquet, gotOffers := run(budget)
		if gotParquet != parquet || len(offers) != 3000 {
			t.Errorf("budget %d: other aggregates, or %d offers", budget, len(offers))
		}
		if !reflect.DeepEqual(offers, gotOffers) {
			t.Errorf("budget %d: other offers", budget)
		}
	}
}

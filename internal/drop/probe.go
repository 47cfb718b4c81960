package drop

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"sluice/internal/scope"
)

// probeName is in the keys of probes, and in no key that a watch takes.
const probeName = ".sluice-doctor-"

// ProbeChannel is where gateways repeat of which probes they were told, each as
// bucket/key.
const ProbeChannel = "sluice_probe"

// Probe returns a key in the watch's place, another each time, that neither hint
// nor listing takes: an object written there shows whether its event arrives. It ends
// as the watch's keys do, for a bucket may tell of those only.
func (w Watch) Probe() string {
	key := w.Prefix + probeName + rand.Text()
	if len(w.Suffixes) > 0 {
		key += w.Suffixes[0]
	}
	return key
}

func isProbe(key string) bool { return strings.Contains(key, probeName) }

// heard says to who has written the probe that its event has arrived.
func (s *Store) heard(ctx context.Context, h Hint) error {
	if err := s.as(scope.System).TellProbe(ctx, h.Bucket+"/"+h.Key); err != nil {
		return fmt.Errorf("tell of probe: %w", err)
	}
	return nil
}

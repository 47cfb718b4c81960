package main

import (
	"errors"

	"sluice/gateway"
)

// doorSettings bound the requests to the doors beside tus.
type doorSettings struct {
	JSONMaxBytes  byteCount `name:"json-max-bytes" group:"Doors" default:"256MiB" env:"SLUICE_JSON_MAX_BYTES" help:"Largest body of process-transactions."`
	BatchMaxBytes byteCount `group:"Doors" default:"64MiB" env:"SLUICE_BATCH_MAX_BYTES" help:"Largest chunk of upload-chunked, and largest batch of a job."`
}

func (s doorSettings) check() error {
	switch {
	case s.JSONMaxBytes < 1:
		return errors.New("--json-max-bytes (SLUICE_JSON_MAX_BYTES): at least 1")
	case s.BatchMaxBytes < 1:
		return errors.New("--batch-max-bytes (SLUICE_BATCH_MAX_BYTES): at least 1")
	}
	return nil
}

// apply sets what of a gateway's configuration is the doors'.
func (s doorSettings) apply(c *gateway.Config) {
	c.MaxJSONBytes, c.MaxBatchBytes = int64(s.JSONMaxBytes), int64(s.BatchMaxBytes)
}

package main

import (
	"errors"

	"sluice/gateway"
)

// doorSettings bound the requests to the doors beside tus.
type doorSettings struct {
	JSONMaxBytes  byteCount `name:"json-max-bytes" group:"Doors" default:"256MiB" env:"SLUICE_JSON_MAX_BYTES" help:"Largest body of process-transactions."`
	BatchMaxBytes byteCount `group:"Doors" default:"64MiB" env:"SLUICE_BATCH_MAX_BYTES" help:"Largest chunk of upload-chunked, and largest batch of a job."`
	DoorRequests  int       `group:"Doors" default:"64" env:"SLUICE_DOOR_REQUESTS" help:"Requests of one tenant under way at a time, at the doors beside tus."`
	DoorRate      float64   `group:"Doors" default:"1000" env:"SLUICE_DOOR_RATE" help:"Requests of one tenant a second at these doors, and as many at once."`
}

func (s doorSettings) check() error {
	switch {
	case s.JSONMaxBytes < 1:
		return errors.New("--json-max-bytes (SLUICE_JSON_MAX_BYTES): at least 1")
	case s.BatchMaxBytes < 1:
		return errors.New("--batch-max-bytes (SLUICE_BATCH_MAX_BYTES): at least 1")
	case s.DoorRequests < 1:
		return errors.New("--door-requests (SLUICE_DOOR_REQUESTS): at least 1")
	case s.DoorRate <= 0:
		return errors.New("--door-rate (SLUICE_DOOR_RATE): more than 0")
	}
	return nil
}

// apply sets what of a gateway's configuration is the doors'.
func (s doorSettings) apply(c *gateway.Config) {
	c.MaxJSONBytes, c.MaxBatchBytes = int64(s.JSONMaxBytes), int64(s.BatchMaxBytes)
	c.DoorRequests, c.DoorRate = s.DoorRequests, s.DoorRate
}

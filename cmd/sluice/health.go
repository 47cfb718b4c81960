package main

import (
	"context"
	"fmt"

	"sluice/internal/client"
)

type healthCmd struct {
	URL httpURL `name:"url" default:"http://127.0.0.1:8080" env:"SLUICE_URL" help:"Base URL of the gateway, or of a worker's --ops-addr."`
}

// Run asks /readyz once.
func (c healthCmd) Run(ctx context.Context) error {
	server, err := client.New(client.Config{BaseURL: string(c.URL)})
	if err != nil {
		return err
	}
	if err := server.Ready(ctx); err != nil {
		return fmt.Errorf("ask %s/readyz: %w", c.URL, err)
	}
	return nil
}

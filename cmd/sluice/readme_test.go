package main_test

import (
	"os"
	"strings"
	"testing"

	main "sluice/cmd/sluice"
)

// TestReadmeNamesEverySetting holds the configuration table against the binary.
func TestReadmeNamesEverySetting(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## Configuration")
	for _, node := range main.NewParser().Model.Leaves(true) {
		for _, flag := range node.Flags {
			for _, env := range flag.Envs {
				if !strings.Contains(table, "`"+env+"`") {
					t.Errorf("README.md does not name %s of sluice %s", env, node.Path())
				}
			}
		}
	}
}

package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// What others publish is named by what it is, and not by a tag, which they can
// move: an action by its commit, an image by its digest.
var (
	action = regexp.MustCompile(`(?m)^\s*-?\s*uses:\s*["']?([^"'\s#]+)`)
	image  = regexp.MustCompile(`(?m)^\s*(?:FROM|image:)\s+["']?([^"'\s#]+)`)
	pinned = regexp.MustCompile(`^\./|@[0-9a-f]{40}$|@sha256:[0-9a-f]{64}$`)
)

// unpinned returns what a file names that may become something else.
func unpinned(names *regexp.Regexp, text string, ours ...string) (loose []string) {
	for _, m := range names.FindAllStringSubmatch(text, -1) {
		if !pinned.MatchString(m[1]) && (len(ours) == 0 || m[1] != ours[0]) {
			loose = append(loose, m[1])
		}
	}
	return loose
}

// TestPins looks at every workflow, image and stage. The npm packages and Go
// modules are pinned by their lock files, and the tools by the Makefile.
func TestPins(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	files := map[string]*regexp.Regexp{filepath.Join(root, "Dockerfile"): image, filepath.Join(root, "docker-compose.yml"): image}
	for _, pattern := range []string{"workflows/*.y*ml", "actions/*/action.y*ml"} {
		found, err := filepath.Glob(filepath.Join(root, ".github", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			files[f] = action
		}
	}
	for name, names := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if loose := unpinned(names, string(text), "sluice"); loose != nil { // our own image, built beside it
			t.Errorf("%s: %v can become something else: name commit or digest", name, loose)
		}
	}
}

func TestPinsSeen(t *testing.T) {
	t.Parallel()
	const digest = "0123456789012345678901234567890123456789"
	for text, want := range map[string]int{
		"      - uses: actions/checkout@v4":                            1,
		"      - uses: \"actions/checkout@main\" # v4":                 1,
		"        uses: actions/checkout@" + digest[:7]:                 1,
		"        uses: actions/checkout@" + digest + " # v4":           0,
		"      - uses: ./.github/actions/ours":                         0,
		"FROM golang:1.26 AS build":                                    1,
		"    image: postgres:17":                                       1,
		"    image: postgres:17@sha256:" + digest + digest[:24] + "\n": 0,
	} {
		names := action
		if image.MatchString(text) {
			names = image
		}
		if loose := unpinned(names, text); len(loose) != want {
			t.Errorf("%q: %v", text, loose)
		}
	}
}

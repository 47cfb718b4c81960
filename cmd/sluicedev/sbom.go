package main

import (
	"cmp"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sbomCmd completes what cyclonedx-gomod says of a binary. The page is in the
// binary too, and no tool for Go sees what it was built from.
type sbomCmd struct {
	Binary string `arg:"" help:"The binary that was built."`
	Go     string `name:"go" required:"" placeholder:"FILE" help:"Its CycloneDX JSON, of cyclonedx-gomod bin -std."`
	Lock   string `required:"" placeholder:"FILE" help:"package-lock.json of the page."`
	Maps   string `required:"" placeholder:"DIR" help:"The page built with source maps, which tell the packages that are in it."`
}

// Run writes the completed list, and fails where a module or package that is in
// the binary is not in it.
func (c sbomCmd) Run(out io.Writer) error {
	text, err := os.ReadFile(c.Go)
	if err != nil {
		return err
	}
	var b bom
	if err := json.Unmarshal(text, &b.all); err != nil {
		return fmt.Errorf("read %s: %w", c.Go, err)
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return fmt.Errorf("read %s: %w", c.Go, err)
	}
	if err := b.lacks(c.Binary); err != nil {
		return err
	}
	packages, err := bundled(c.Maps, c.Lock)
	if err != nil {
		return err
	}
	if err := b.add(packages); err != nil {
		return err
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(b.all)
}

// bom is a CycloneDX document: what is read of it, and all of it. Keys of all are
// written in order, so the same input gives the same bytes.
type bom struct {
	all map[string]any

	Components []component `json:"components"`
	Metadata   struct {
		Component struct {
			Ref  string `json:"bom-ref"`
			Name string `json:"name"`
		} `json:"component"`
	} `json:"metadata"`
}

type component struct {
	Ref     string `json:"bom-ref"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Scope   string `json:"scope"`
	Hashes  []hash `json:"hashes,omitempty"`
	PURL    string `json:"purl"`
}

type hash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

// lacks says which module that the Go tool linked into a binary is not listed.
func (b bom) lacks(binary string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("read modules: %w", err)
	}
	if b.Metadata.Component.Name != info.Main.Path {
		return fmt.Errorf("the list is of %q, and %s is of %q", b.Metadata.Component.Name, binary, info.Main.Path)
	}
	listed := make(map[string]bool)
	for _, c := range b.Components {
		listed[c.Name+"@"+c.Version] = true
	}
	modules := []string{"std@" + info.GoVersion}
	for _, m := range info.Deps {
		m = cmp.Or(m.Replace, m)
		modules = append(modules, m.Path+"@"+m.Version)
	}
	for _, m := range modules {
		if !listed[m] {
			return fmt.Errorf("%s has module %s, which the list does not name", binary, m)
		}
	}
	return nil
}

// add appends npm packages, as what the binary depends on.
func (b bom) add(packages []component) error {
	components, ok := b.all["components"].([]any)
	if !ok {
		return errors.New("the list has no components")
	}
	var refs []any
	for _, p := range packages {
		components, refs = append(components, p), append(refs, p.Ref)
	}
	b.all["components"] = components
	dependencies, _ := b.all["dependencies"].([]any)
	for _, d := range dependencies {
		if of, ok := d.(map[string]any); ok && of["ref"] == b.Metadata.Component.Ref {
			on, _ := of["dependsOn"].([]any)
			of["dependsOn"] = append(on, refs...)
			return nil
		}
	}
	return fmt.Errorf("the list says nothing of what %s depends on", b.Metadata.Component.Name)
}

// bundled returns the packages that the source maps in a folder name, by name, as
// the lock file pins them.
func bundled(dir, lock string) ([]component, error) {
	text, err := os.ReadFile(lock)
	if err != nil {
		return nil, err
	}
	var locked struct {
		Packages map[string]struct{ Version, Integrity string } `json:"packages"`
	}
	if err := json.Unmarshal(text, &locked); err != nil {
		return nil, fmt.Errorf("read %s: %w", lock, err)
	}
	paths, err := packagePaths(dir)
	if err != nil {
		return nil, err
	}
	var all []component
	for _, path := range paths {
		p, ok := locked.Packages[path]
		if !ok {
			return nil, fmt.Errorf("the page has %s in it, which %s does not name", path, lock)
		}
		_, name, _ := lastCut(path, "node_modules/")
		ref := "pkg:npm/" + strings.Replace(name, "@", "%40", 1) + "@" + p.Version
		all = append(all, component{Ref: ref, Type: "library", Name: name, Version: p.Version, Scope: "required", Hashes: integrity(p.Integrity), PURL: ref})
	}
	return all, nil
}

// packagePaths returns the packages' folders, as a lock file has them, in order.
func packagePaths(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.map"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no source maps", dir)
	}
	found := make(map[string]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var m struct{ Sources []string }
		if err := json.Unmarshal(text, &m); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		for _, source := range m.Sources {
			if path := packagePath(source); path != "" {
				found[path] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// packagePath returns the folder of the package that a source is of, "" for our own.
func packagePath(source string) string {
	outer, inner, ok := lastCut(source, "node_modules/")
	if !ok {
		return ""
	}
	if i := strings.Index(outer, "node_modules/"); i >= 0 { // one that another brought for itself
		outer = outer[i:]
	} else {
		outer = ""
	}
	parts := strings.SplitN(inner, "/", 3)
	n := 1
	if strings.HasPrefix(inner, "@") {
		n = 2
	}
	return outer + "node_modules/" + strings.Join(parts[:min(n, len(parts))], "/")
}

// lastCut is strings.Cut at the last separator.
func lastCut(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// integrity returns the hash of a lock file in hexadecimal, as CycloneDX has it.
func integrity(text string) []hash {
	sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "sha512-"))
	if err != nil || len(sum) != 64 {
		return nil
	}
	return []hash{{Alg: "SHA-512", Content: hex.EncodeToString(sum)}}
}

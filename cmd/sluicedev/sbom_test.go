package main_test

import (
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listed is what the tests read of a bill of materials.
type listed struct {
	Components []struct {
		Name, Version, PURL string
		Hashes              []struct{ Alg, Content string }
	}
	Dependencies []struct {
		Ref       string
		DependsOn []string
	}
}

// TestSBOM completes what cyclonedx-gomod would say of the product, and finds
// every module of the binary and every package of the page in it, and no other.
func TestSBOM(t *testing.T) {
	t.Parallel()
	out, err := sbom(t, modulesOf(t), sources("../../src/app.tsx", "../../node_modules/@preact/signals/dist/signals.mjs",
		"../../node_modules/preact/dist/preact.mjs", "../../node_modules/tus-js-client/node_modules/url-parse/index.js"))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got listed
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	var npm []string
	modules := 0
	for _, c := range got.Components {
		if !strings.HasPrefix(c.PURL, "pkg:npm/") {
			modules++
			continue
		}
		npm = append(npm, c.PURL)
		if len(c.Hashes) != 1 || len(c.Hashes[0].Content) != 128 {
			t.Errorf("%s: hashes %v", c.Name, c.Hashes)
		}
	}
	if want := []string{"pkg:npm/%40preact/signals@2.1.0", "pkg:npm/preact@11.0.0", "pkg:npm/url-parse@1.0.0"}; !slices.Equal(npm, want) {
		t.Errorf("packages %v, want %v", npm, want)
	}
	if want := len(modulesOf(t)); modules != want {
		t.Errorf("%d modules, want %d", modules, want)
	}
	if on := got.Dependencies[0].DependsOn; !slices.Equal(on, append([]string{"one"}, npm...)) {
		t.Errorf("depends on %v", on)
	}
}

// TestSBOMRefuses a list with a gap, of the modules or of the page's packages.
func TestSBOMRefuses(t *testing.T) {
	t.Parallel()
	modules := modulesOf(t)
	for i, gone := range modules {
		if i%20 != 0 && gone["name"] != "std" { // each is read the same way
			continue
		}
		out, err := sbom(t, slices.Delete(slices.Clone(modules), i, i+1), sources("../../node_modules/preact/dist/preact.mjs"))
		if err == nil || !strings.Contains(string(out), gone["name"]+"@"+gone["version"]) {
			t.Errorf("without %s: %v, %s", gone["name"], err, out)
		}
	}
	for what, maps := range map[string]string{
		"left-pad":       sources("../../node_modules/left-pad/index.js"),
		"no source maps": "",
	} {
		if out, err := sbom(t, modules, maps); err == nil || !strings.Contains(string(out), what) {
			t.Errorf("%s: %v, %s", what, err, out)
		}
	}
}

// modulesOf returns the product's modules, with the standard library, as a list has them.
func modulesOf(t *testing.T) (all []map[string]string) {
	t.Helper()
	info, err := buildinfo.ReadFile(filepath.Join(bin, "sluice"))
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, map[string]string{"name": "std", "version": info.GoVersion})
	for _, m := range info.Deps {
		all = append(all, map[string]string{"name": m.Path, "version": m.Version})
	}
	return all
}

func sources(paths ...string) string {
	text, _ := json.Marshal(map[string]any{"sources": paths}) // strings: cannot fail
	return string(text)
}

// sbom runs the command over a list of modules, a lock file of three packages
// and one source map, and returns what it wrote.
func sbom(t *testing.T, modules []map[string]string, sourceMap string) ([]byte, error) {
	t.Helper()
	dir := t.TempDir()
	list, err := json.Marshal(map[string]any{
		"metadata":     map[string]any{"component": map[string]string{"bom-ref": "self", "name": "sluice"}},
		"components":   modules,
		"dependencies": []any{map[string]any{"ref": "self", "dependsOn": []string{"one"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	sum := `"sha512-` + strings.Repeat("A", 86) + `=="`
	lock := `{"packages": {"": {}, "node_modules/preact": {"version": "11.0.0", "integrity": ` + sum + `},
		"node_modules/@preact/signals": {"version": "2.1.0", "integrity": ` + sum + `},
		"node_modules/url-parse": {"version": "2.0.0", "integrity": ` + sum + `},
		"node_modules/tus-js-client/node_modules/url-parse": {"version": "1.0.0", "integrity": ` + sum + `}}}`
	files := map[string]string{"go.json": string(list), "lock.json": lock, "app.js.map": sourceMap}
	for name, text := range files {
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return exec.CommandContext(t.Context(), filepath.Join(bin, "sluicedev"), "sbom", "--go", filepath.Join(dir, "go.json"),
		"--lock", filepath.Join(dir, "lock.json"), "--maps", dir, filepath.Join(bin, "sluice")).CombinedOutput()
}

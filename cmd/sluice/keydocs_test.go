package main_test

import (
	"strings"
	"testing"
)

// TestKeysDocs goes down the page of keys, beside a server that has one already.
func TestKeysDocs(t *testing.T) {
	t.Parallel()
	env := stackEnv(t)
	w := newDocsWorld(t, env)
	var said strings.Builder
	for _, e := range examples(t, "keys") {
		out, _ := w.run(e)
		said.WriteString(out)
	}
	if strings.Count(said.String(), `{"jobs":[],"next_cursor":null}`) != 2 || !strings.Contains(said.String(), "till 7") {
		t.Errorf("the examples of docs/keys.md say\n%s", &said)
	}
	list, _ := keys(t, env, 0, "list")
	if strings.Count(list, "live") != 3 || strings.Count(list, "revoked") != 1 {
		t.Errorf("they leave\n%s", list)
	}
	w.stop(t)
}

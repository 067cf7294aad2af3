package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// documented finds the modules that docs/dependencies.md gives a row: | [path](…) | why |.
var documented = regexp.MustCompile(`(?m)^\| \[([^\]]+)\]\([^)]*\) \| \S`)

// TestDependenciesAreExplained: whoever adds a dependency says why, and whoever drops one
// takes the explanation out.
func TestDependenciesAreExplained(t *testing.T) {
	t.Parallel()
	root := moduleRoot(t)

	out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json", filepath.Join(root, "go.mod")).Output()
	require.NoError(t, err)
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	require.NoError(t, json.Unmarshal(out, &mod))
	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	require.NotEmpty(t, direct)

	page, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	require.NoError(t, err)
	var explained []string
	for _, m := range documented.FindAllSubmatch(page, -1) {
		explained = append(explained, string(m[1]))
	}
	require.ElementsMatch(t, direct, explained, "go.mod's direct requirements and docs/dependencies.md differ")
}

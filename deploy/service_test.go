package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

var execStart = regexp.MustCompile(`(?m)^ExecStart=\S+`)

// TestServiceUnit has systemd itself read the unit: every directive is known to it, and what
// the unit leaves exposed stays little.
func TestServiceUnit(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: the unit is not checked")
	}

	// verify insists on an ExecStart that exists.
	unit, err := os.ReadFile("omnirelay.service")
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "omnirelay.service")
	require.NoError(t, os.WriteFile(file, execStart.ReplaceAll(unit, []byte("ExecStart="+self)), 0o600))

	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, string(out))

	// 15 stands for an exposure of 1.5 out of 10; a bare unit has 9.6.
	out, err = exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--threshold=15", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

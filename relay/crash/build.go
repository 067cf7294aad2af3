package crash

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Build compiles the program of this module into dir and returns its path. It needs the go
// command and a working directory inside the module.
func Build(ctx context.Context, dir string) (binary string, err error) {
	binary = filepath.Join(dir, "omnirelay")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "omnirelay/cmd/omnirelay").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the relay: %w\n%s", err, out)
	}
	return binary, nil
}

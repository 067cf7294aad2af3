package deploy_test

import (
	"os"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// composition is what the tests use of compose.yaml. Strict decoding makes them fail when
// the file says something that they do not carry over.
type composition struct {
	Name     string             `yaml:"name"`
	Services map[string]service `yaml:"services"`
	Networks map[string]any     `yaml:"networks"`
	Volumes  map[string]any     `yaml:"volumes"`
}

type service struct {
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"`
	ReadOnly    bool              `yaml:"read_only"`
	CapDrop     []string          `yaml:"cap_drop"`
	SecurityOpt []string          `yaml:"security_opt"`
	Healthcheck struct {
		Disable bool `yaml:"disable"`
	} `yaml:"healthcheck"`

	// Known, and of no use to a test.
	Build     any    `yaml:"build"`
	Image     string `yaml:"image"`
	Ports     []any  `yaml:"ports"`
	Networks  any    `yaml:"networks"`
	DependsOn any    `yaml:"depends_on"`
	Restart   string `yaml:"restart"`
	StopGrace string `yaml:"stop_grace_period"`
}

// readCompose reads compose.yaml, so that the containers of the tests are the file's.
func readCompose(t *testing.T) composition {
	t.Helper()
	b, err := os.ReadFile("compose.yaml")
	require.NoError(t, err)
	var c composition
	require.NoError(t, yaml.UnmarshalWithOptions(b, &c, yaml.Strict()))
	require.Contains(t, c.Services, "relay")
	require.Contains(t, c.Services, "sink")
	return c
}

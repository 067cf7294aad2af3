package deploy_test

import (
	"os"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// composition is what the tests use of compose.yaml and cluster.compose.yaml. Strict decoding
// makes them fail when a file says something that they do not carry over.
type composition struct {
	Name     string             `yaml:"name"`
	Services map[string]service `yaml:"services"`
	Networks map[string]any     `yaml:"networks"`
	Volumes  map[string]any     `yaml:"volumes"`

	// What services have in common; each holds it by then.
	Nats  any `yaml:"x-nats"`
	Relay any `yaml:"x-relay"`
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

// readCompose reads a composition, so that the containers of the tests are the file's.
func readCompose(t *testing.T, file string) composition {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	var c composition
	require.NoError(t, yaml.UnmarshalWithOptions(b, &c, yaml.Strict()))
	require.NotEmpty(t, c.Services)
	return c
}

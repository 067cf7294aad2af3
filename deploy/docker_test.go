package deploy_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
	"github.com/testcontainers/testcontainers-go/network"
)

// TestMain turns testcontainers' reaper off: it is an image that would have to be pulled,
// and these tests need no image but their own. What they start they remove themselves.
func TestMain(m *testing.M) {
	const ryuk = "TESTCONTAINERS_RYUK_DISABLED"
	if _, set := os.LookupEnv(ryuk); !set {
		if err := os.Setenv(ryuk, "true"); err != nil {
			panic(err) //nolint:forbidigo // there is no test yet that could fail
		}
	}
	m.Run()
}

// engine returns the Docker engine. Without one the test is skipped, except in CI, which
// has to bring one.
func engine(t *testing.T) *testcontainers.DockerProvider {
	t.Helper()
	p, err := testcontainers.NewDockerProvider(testcontainers.WithLogger(log.TestLogger(t)))
	if err == nil {
		t.Cleanup(func() { require.NoError(t, p.Close()) })
		err = p.Health(t.Context())
	}
	if os.Getenv("CI") == "true" {
		require.NoError(t, err, "CI has to run a Docker engine")
	}
	if err != nil {
		t.Skipf("no Docker engine answers, so the image is not tested: %v", err)
	}
	return p
}

// buildImage builds the static binary and from it the image, as `make image` does but away
// from the tree, and returns the image's name. The image goes with the test.
func buildImage(t *testing.T, p *testcontainers.DockerProvider) string {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, "dist", "data")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "deploy"), 0o755))
	require.NoError(t, os.MkdirAll(data, 0o755))
	require.NoError(t, os.Chmod(data, 0o700))
	copyFile(t, ".dockerignore", filepath.Join(dir, ".dockerignore"))
	copyFile(t, filepath.Join("deploy", "Dockerfile"), filepath.Join(dir, "deploy", "Dockerfile"))
	build := exec.CommandContext(t.Context(), "make", "-C", "..", "dist", "DIST="+filepath.Join(dir, "dist"))
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	return imageFrom(t, p, dir, "deploy/Dockerfile")
}

// imageFrom builds an image from a directory and returns its name. The image goes with the
// test.
func imageFrom(t *testing.T, p *testcontainers.DockerProvider, dir, dockerfile string) string {
	t.Helper()
	name := "omnirelay-test:" + uuid.NewString()
	var said bytes.Buffer
	_, err := p.BuildImage(t.Context(), &testcontainers.ContainerRequest{
		FromDockerfile: testcontainers.FromDockerfile{
			Context:        dir,
			Dockerfile:     dockerfile,
			Repo:           strings.Split(name, ":")[0],
			Tag:            strings.Split(name, ":")[1],
			BuildLogWriter: &said,
		},
	})
	require.NoError(t, err, "%s", said.String())
	t.Cleanup(func() {
		_, err := p.Client().ImageRemove(cleaning(t), name, client.ImageRemoveOptions{Force: true, PruneChildren: true})
		require.NoError(t, err)
	})
	return name
}

// newNetwork makes a network and returns its name and its subnet.
func newNetwork(t *testing.T, p *testcontainers.DockerProvider, how ...network.NetworkCustomizer) (name, subnet string) {
	t.Helper()
	n, err := network.New(t.Context(), how...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Remove(cleaning(t))) })
	found, err := p.Client().NetworkInspect(t.Context(), n.ID, client.NetworkInspectOptions{})
	require.NoError(t, err)
	require.NotEmpty(t, found.Network.IPAM.Config)
	return n.Name, found.Network.IPAM.Config[0].Subnet.String()
}

// newVolume makes a named volume that goes with the test.
func newVolume(t *testing.T, p *testcontainers.DockerProvider) string {
	t.Helper()
	name := "omnirelay-test-" + uuid.NewString()
	_, err := p.Client().VolumeCreate(t.Context(), client.VolumeCreateOptions{Name: name})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := p.Client().VolumeRemove(cleaning(t), name, client.VolumeRemoveOptions{Force: true})
		require.NoError(t, err)
	})
	return name
}

// start runs a service of compose.yaml as that file describes it, with the differences that
// a test asks for.
func start(t *testing.T, s service, differences testcontainers.ContainerRequest) testcontainers.Container {
	t.Helper()
	req := differences
	req.Cmd = s.Command
	req.HostConfigModifier = func(h *container.HostConfig) {
		h.ReadonlyRootfs = s.ReadOnly
		h.CapDrop = s.CapDrop
		h.SecurityOpt = s.SecurityOpt
	}
	req.ConfigModifier = func(c *container.Config) {
		// The image's own check, asked more often than every ten seconds.
		c.Healthcheck = &container.HealthConfig{Interval: time.Second}
		if s.Healthcheck.Disable {
			c.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
		}
	}
	c, err := testcontainers.GenericContainer(t.Context(), testcontainers.GenericContainerRequest{
		ContainerRequest: req,
		Logger:           log.TestLogger(t),
		Started:          true,
	})
	if c != nil {
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%s said:\n%s", req.Cmd[0], logs(t, c))
			}
			require.NoError(t, c.Terminate(cleaning(t)))
		})
	}
	require.NoError(t, err)
	return c
}

// logs is what a container has printed so far.
func logs(t *testing.T, c testcontainers.Container) string {
	t.Helper()
	r, err := c.Logs(cleaning(t))
	require.NoError(t, err)
	defer r.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(r)
	require.NoError(t, err)
	return b.String()
}

// cleaning is a context for clean-up, which runs when the test's own is cancelled.
func cleaning(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func copyFile(t *testing.T, fromRoot, to string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", fromRoot))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, b, 0o644))
}

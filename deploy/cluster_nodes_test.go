package deploy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	dockernet "github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

	relayclient "omnirelay/relay/client"
)

// natsPassword is what the servers and the relays of the test share.
const natsPassword = "password-of-the-cluster-test"

// cluster is three relays on three NATS servers, as cluster.compose.yaml describes them.
type cluster struct {
	t      *testing.T
	p      *testcontainers.DockerProvider
	file   composition
	store  string // the network between relays and servers, which has no other members
	front  string // the network of callers and receivers
	gate   netip.Addr
	subnet string

	servers []*node
	relays  []*node
}

// node is a container that can be hurt.
type node struct {
	testcontainers.Container
	c    *cluster
	name string
	port string // of the listener that tells whether it is ready
	path string
	base atomic.Pointer[string] // of that listener, as seen from here; changes with each start
	api  atomic.Pointer[relayclient.Client]
}

// openCluster builds both images and starts everything.
func openCluster(t *testing.T, p *testcontainers.DockerProvider) *cluster {
	t.Helper()
	c := &cluster{t: t, p: p, file: readCompose(t, "cluster.compose.yaml")}
	relayImage, natsImage := buildImage(t, p), buildNATSImage(t, p)
	c.store, _ = newNetwork(t, p, dockernet.WithInternal())
	c.front, c.subnet = newNetwork(t, p)
	found, err := p.Client().NetworkInspect(t.Context(), c.front, client.NetworkInspectOptions{})
	require.NoError(t, err)
	c.gate = found.Network.IPAM.Config[0].Gateway
	for n := range 3 {
		c.servers = append(c.servers, c.startServer(fmt.Sprint("nats-", n+1), natsImage))
	}
	for _, s := range c.servers {
		s.ready()
	}
	// All at once, as a first `docker compose up` does it.
	for n := range 3 {
		c.relays = append(c.relays, c.startRelay(fmt.Sprint("relay-", n+1), relayImage))
	}
	for _, r := range c.relays {
		r.ready()
	}
	return c
}

// buildNATSImage builds the server of the module's own version, with the configuration of
// nats.conf in it.
func buildNATSImage(t *testing.T, p *testcontainers.DockerProvider) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w",
		"-o", filepath.Join(dir, "nats-server"), "github.com/nats-io/nats-server/v2")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	copyFile(t, filepath.Join("deploy", "nats.conf"), filepath.Join(dir, "nats.conf"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(`FROM scratch
COPY nats-server /nats-server
COPY nats.conf /etc/nats/nats.conf
ENTRYPOINT ["/nats-server"]
`), 0o600))
	return imageFrom(t, p, dir, "Dockerfile")
}

func (c *cluster) startServer(name, image string) *node {
	c.t.Helper()
	s := c.file.Services[name]
	s.Healthcheck.Disable = true
	n := &node{c: c, name: name, port: "8222/tcp", path: "/healthz"}
	n.Container = start(c.t, s, testcontainers.ContainerRequest{
		Image:          image,
		Env:            map[string]string{"NATS_PASSWORD": natsPassword},
		Networks:       []string{c.front, c.store},
		NetworkAliases: map[string][]string{c.store: {name}},
		Mounts:         testcontainers.Mounts(testcontainers.VolumeMount(newVolume(c.t, c.p), "/data")),
		ExposedPorts:   []string{"8222/tcp"},
		WaitingFor:     wait.ForListeningPort("8222/tcp").SkipInternalCheck(),
	})
	return n
}

func (c *cluster) startRelay(name, image string) *node {
	c.t.Helper()
	s := c.file.Services[name]
	s.Healthcheck.Disable = true // the test asks by itself
	env := maps.Clone(s.Environment)
	env["OMNIRELAY_NATS_PASSWORD"] = natsPassword
	env["OMNIRELAY_BOOTSTRAP_KEY"] = bootstrapKey
	env["OMNIRELAY_EGRESS_ALLOW"] = c.subnet
	env["OMNIRELAY_ADMIN_LISTEN"] = "0.0.0.0:8081"
	n := &node{c: c, name: name, port: "8081/tcp", path: "/readyz"}
	n.Container = start(c.t, s, testcontainers.ContainerRequest{
		Image:          image,
		Env:            env,
		Networks:       []string{c.front, c.store},
		NetworkAliases: map[string][]string{c.store: {name}},
		ExposedPorts:   []string{"8080/tcp", "8081/tcp"},
		WaitingFor:     wait.ForListeningPort("8081/tcp").SkipInternalCheck(),
	})
	return n
}

// ready finds out where the node is now and waits until it says that it is ready.
func (n *node) ready() {
	t := n.c.t
	t.Helper()
	base := endpoint(t, n, n.port)
	n.base.Store(&base)
	n.await()
	if n.port == "8081/tcp" {
		api, err := relayclient.New(relayclient.Options{BaseURL: endpoint(t, n, "8080/tcp"), Key: bootstrapKey})
		require.NoError(t, err)
		n.api.Store(api)
	}
}

// await waits until the node says that it is ready.
func (n *node) await() {
	n.c.t.Helper()
	eventually(n.c.t, patience, func() error {
		if ok, said := n.asks(n.path, nil); !ok {
			return fmt.Errorf("%s is not ready: %s", n.name, said)
		}
		return nil
	})
}

// eventually asks again and again until there is nothing to complain about.
func eventually(t *testing.T, within time.Duration, complaint func() error) {
	t.Helper()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(within)
	for {
		err := complaint()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			require.NoError(t, err, "after %s", within)
		}
	}
}

// asks gets a page of the node and decodes it.
func (n *node) asks(path string, into any) (ok bool, said string) {
	ask := http.Client{Timeout: 5 * time.Second}
	defer ask.CloseIdleConnections()
	resp, err := ask.Get(*n.base.Load() + path)
	if err != nil {
		return false, err.Error()
	}
	defer resp.Body.Close()
	if into != nil {
		err = json.NewDecoder(resp.Body).Decode(into)
	}
	return resp.StatusCode == http.StatusOK && err == nil, resp.Status
}

// kill ends the node as a power cut would: kill -9.
func (n *node) kill() {
	n.c.t.Helper()
	_, err := n.c.p.Client().ContainerKill(n.c.t.Context(), n.GetContainerID(), client.ContainerKillOptions{Signal: "KILL"})
	require.NoError(n.c.t, err)
}

// stop ends the node as an operator would.
func (n *node) stop() {
	n.c.t.Helper()
	patience := 40 * time.Second // stop_grace_period
	require.NoError(n.c.t, n.Stop(n.c.t.Context(), &patience))
	state, err := n.State(n.c.t.Context())
	require.NoError(n.c.t, err)
	require.Zero(n.c.t, state.ExitCode, "%s ended itself, well", n.name)
}

// revive starts a node that ended, on the data it had.
func (n *node) revive() {
	n.c.t.Helper()
	require.NoError(n.c.t, n.Start(n.c.t.Context()))
	n.ready()
}

// cut takes the node off the store's network. A relay can still be called, and can still
// reach its receivers.
func (n *node) cut() {
	n.c.t.Helper()
	_, err := n.c.p.Client().NetworkDisconnect(n.c.t.Context(), n.c.store, client.NetworkDisconnectOptions{Container: n.GetContainerID()})
	require.NoError(n.c.t, err)
}

// join puts it back.
func (n *node) join() {
	n.c.t.Helper()
	_, err := n.c.p.Client().NetworkConnect(n.c.t.Context(), n.c.store, client.NetworkConnectOptions{
		Container:      n.GetContainerID(),
		EndpointConfig: &network.EndpointSettings{Aliases: []string{n.name}},
	})
	require.NoError(n.c.t, err)
	n.await()
}

// address is where the node's requests come from.
func (n *node) address() netip.Addr {
	n.c.t.Helper()
	found, err := n.Inspect(n.c.t.Context())
	require.NoError(n.c.t, err)
	return found.NetworkSettings.Networks[n.c.front].IPAddress
}

// leader is the server that leads a stream; an empty name asks for the leader of the
// cluster's own log.
func (c *cluster) leader(stream string) *node {
	c.t.Helper()
	var led *node
	eventually(c.t, patience, func() error {
		for _, s := range c.servers {
			leaders, err := s.leaders()
			if err != nil {
				continue
			}
			if i := slices.IndexFunc(c.servers, func(n *node) bool { return n.name == leaders[stream] }); i >= 0 {
				led = c.servers[i]
				return nil
			}
		}
		return fmt.Errorf("nobody leads %q", stream)
	})
	return led
}

// calm waits until the servers have agreed for a while on who leads what. One that was cut off
// stood for elections all by itself; when it is back, these make the others hold theirs again.
func (c *cluster) calm() {
	c.t.Helper()
	var agreed map[string]string
	var since time.Time
	eventually(c.t, patience, func() error {
		for _, s := range c.servers {
			if ok, said := s.asks(s.path, nil); !ok {
				since = time.Time{}
				return fmt.Errorf("%s is not well: %s", s.name, said)
			}
			leaders, err := s.leaders()
			if err != nil {
				return err
			}
			if since.IsZero() || !maps.Equal(leaders, agreed) {
				agreed, since = leaders, time.Now()
			}
		}
		for stream, leader := range agreed {
			if leader == "" {
				return fmt.Errorf("nobody leads %q", stream)
			}
		}
		if quiet := time.Since(since); quiet < 5*time.Second {
			return fmt.Errorf("the servers have agreed for %s only", quiet)
		}
		return nil
	})
}

// leaders is who leads each stream, in the eyes of one server. The empty name is the
// cluster's own log.
func (n *node) leaders() (map[string]string, error) {
	var jsz struct {
		Meta     struct{ Leader string } `json:"meta_cluster"`
		Accounts []struct {
			Streams []struct {
				Name    string
				Cluster struct{ Leader string }
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if ok, said := n.asks("/jsz?streams=true", &jsz); !ok {
		return nil, fmt.Errorf("%s does not tell its streams: %s", n.name, said)
	}
	leaders := map[string]string{"": jsz.Meta.Leader}
	for _, a := range jsz.Accounts {
		for _, s := range a.Streams {
			leaders[s.Name] = s.Cluster.Leader
		}
	}
	return leaders, nil
}

// apis are the relays' APIs as they can be reached now.
func (c *cluster) apis() []*relayclient.Client {
	var apis []*relayclient.Client
	for _, r := range c.relays {
		apis = append(apis, r.api.Load())
	}
	return apis
}

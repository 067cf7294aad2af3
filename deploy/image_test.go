package deploy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

const (
	bootstrapKey = "image-test-key-with-every-permission"
	secret       = "a secret of the channel's own"
	dataDir      = "/var/lib/omnirelay"
)

// TestImage does the main job in the image: a channel, an agent's message, a signed delivery
// to a receiver in another container; then a restart on the same volume, which forgets
// nothing and repeats nothing.
func TestImage(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds an image and runs containers: left out by -short")
	}
	p := engine(t)
	file := readCompose(t, "compose.yaml")
	image := buildImage(t, p)
	net, subnet := newNetwork(t, p)
	volume := newVolume(t, p)

	receiver := file.Services["sink"]
	receiver.Command = append(receiver.Command, "--secret", secret)
	sink := start(t, receiver, testcontainers.ContainerRequest{
		Image:          image,
		Networks:       []string{net},
		NetworkAliases: map[string][]string{net: {"sink"}},
		ExposedPorts:   []string{"9000/tcp"},
		WaitingFor:     wait.ForListeningPort("9000/tcp").SkipInternalCheck(),
	})

	env := maps.Clone(file.Services["relay"].Environment)
	env["OMNIRELAY_BOOTSTRAP_KEY"] = bootstrapKey
	env["OMNIRELAY_EGRESS_ALLOW"] = subnet
	relay := start(t, file.Services["relay"], testcontainers.ContainerRequest{
		Image:        image,
		Env:          env,
		Networks:     []string{net},
		Mounts:       testcontainers.Mounts(testcontainers.VolumeMount(volume, dataDir)),
		ExposedPorts: []string{"8080/tcp"},
		WaitingFor:   wait.ForHealthCheck(), // `omnirelay health`, as the image asks
	})

	a := api{t, endpoint(t, relay, "8080/tcp")}
	channel := a.call(http.MethodPost, "/api/v2/channel", fmt.Sprintf(
		`{"name":"Image test","custom_channel_endpoint":"http://sink:9000/","custom_channel_secret":%q}`, secret))
	id := strconv.FormatFloat(channel["item"].(map[string]any)["id"].(float64), 'f', 0, 64)
	sent := a.call(http.MethodPost, "/api/v2/message", fmt.Sprintf(
		`{"ticketID":858462,"type":%s,"toAddress":"customer-1","message":"Hello from a container"}`, id))
	message := sent["messageID"].(string)

	requireDelivered(t, relay, a, message)
	require.Regexp(t, message+".* verified ", logs(t, sink), "the sink prints what it received")
	s := api{t, endpoint(t, sink, "9000/tcp")}
	once := s.call(http.MethodGet, "/stats", "")
	require.EqualValues(t, 1, once["requests"])
	require.EqualValues(t, 1, once["accepted"])
	require.EqualValues(t, 0, once["bad_signature"])

	require.NoError(t, relay.Stop(t.Context(), nil))
	state, err := relay.State(t.Context())
	require.NoError(t, err)
	require.Zero(t, state.ExitCode, "a stop is an orderly end")
	require.NoError(t, relay.Start(t.Context()))
	a.base = endpoint(t, relay, "8080/tcp") // the mapped port is a new one
	requireDelivered(t, relay, a, message)
	require.Equal(t, once, s.call(http.MethodGet, "/stats", ""), "a restart delivers nothing again")
}

// requireDelivered waits for the relay to say that the message was delivered, and at the
// first attempt.
func requireDelivered(t *testing.T, relay testcontainers.Container, a api, message string) {
	t.Helper()
	path := "/relay/v1/messages/" + message
	delivered := wait.ForHTTP(path).
		WithPort("8080/tcp").
		WithHeaders(map[string]string{"apiKey": bootstrapKey}).
		WithResponseMatcher(func(body io.Reader) bool {
			var answer struct{ Item struct{ State string } }
			return json.NewDecoder(body).Decode(&answer) == nil && answer.Item.State == "delivered"
		})
	require.NoError(t, delivered.WaitUntilReady(t.Context(), relay))
	require.Len(t, a.call(http.MethodGet, path, "")["item"].(map[string]any)["attempts"], 1)
}

// api calls a listener as curl would.
type api struct {
	t    *testing.T
	base string
}

func (a api) call(method, path, body string) map[string]any {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.base+path, strings.NewReader(body))
	require.NoError(a.t, err)
	req.Header.Set("apiKey", bootstrapKey)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(a.t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	require.NoError(a.t, err)
	require.Equal(a.t, http.StatusOK, resp.StatusCode, "%s %s: %s", method, path, got)
	var answer map[string]any
	require.NoError(a.t, json.Unmarshal(got, &answer), "%s", got)
	return answer
}

// endpoint is the base URL under which this machine reaches a container's port.
func endpoint(t *testing.T, c testcontainers.Container, port string) string {
	t.Helper()
	base, err := c.PortEndpoint(t.Context(), port, "http")
	require.NoError(t, err)
	return base
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"omnirelay/relay/client"
	"omnirelay/relay/config"
	"omnirelay/relay/daemon"
)

// defaultAPI is where omnirelay serve listens by default.
const defaultAPI = "http://127.0.0.1:8080"

// connection is how a command reaches a running relay.
type connection struct {
	app     *app
	api     string
	keyFile string
}

// connects adds the flags of a command that calls a running relay, and its sub-commands'.
func (a *app) connects(cmd *cobra.Command) (*cobra.Command, *connection) {
	c := &connection{app: a}
	cmd.PersistentFlags().StringVar(&c.api, "api", "", "the relay's address (default: $"+config.APIURLVariable+", else "+defaultAPI+")")
	cmd.PersistentFlags().StringVar(&c.keyFile, "key-file", "", "file with the API key, used unless $"+config.APIKeyVariable+" is set (default: "+daemon.KeyFile+" in $OMNIRELAY_DATA_DIR, else in ./data)")
	return cmd, c
}

// variable is a variable of the environment; the last of several with one name wins.
func (a *app) variable(name string) string {
	value := ""
	for _, e := range a.environ {
		if n, v, ok := strings.Cut(e, "="); ok && n == name {
			value = v
		}
	}
	return value
}

// client makes the client of the relay that the flags and the environment name.
func (c *connection) client() (*client.Client, error) { return c.clientOver(nil) }

// clientOver is client over another HTTP client, for calls that last longer than its own
// allows.
func (c *connection) clientOver(h *http.Client) (*client.Client, error) {
	key, err := c.key()
	if err != nil {
		return nil, err
	}
	made, err := client.New(client.Options{
		BaseURL:   cmp.Or(c.api, c.app.variable(config.APIURLVariable), defaultAPI),
		Key:       key,
		HTTP:      h,
		UserAgent: "omnirelay/" + thisBuild().Version,
	})
	if err != nil {
		return nil, misuse("--api: %w", err)
	}
	return made, nil
}

// key is the API key: from the environment, else from a file. It is no flag, because other
// users of a machine can see a command's flags.
func (c *connection) key() (string, error) {
	if key := c.app.variable(config.APIKeyVariable); key != "" {
		return key, nil
	}
	path := cmp.Or(c.keyFile, filepath.Join(cmp.Or(c.app.variable("OMNIRELAY_DATA_DIR"), "data"), daemon.KeyFile))
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && c.keyFile == "" {
		return "", misuse("no API key is given: set %s, or name a file with --key-file (%s is not there)", config.APIKeyVariable, path)
	}
	if err != nil {
		return "", fmt.Errorf("reading the API key: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// advice is what may help with an error of a call, or "".
func advice(err error) string {
	if failed, ok := errors.AsType[*net.OpError](err); ok && failed.Op == "dial" {
		return "Is the relay running there? omnirelay serve starts one; --api or " + config.APIURLVariable + " names another."
	}
	if refusal, ok := errors.AsType[*client.Error](err); ok && refusal.Status == http.StatusUnauthorized {
		return "The key comes from " + config.APIKeyVariable + ", else from --key-file."
	}
	return ""
}

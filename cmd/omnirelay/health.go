package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"omnirelay/relay/config"
)

func (a *app) healthCommand() *cobra.Command {
	var (
		path    string
		base    string
		ready   bool
		timeout time.Duration
	)
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running relay on this machine whether it is well",
		Long: `Ask the admin listener of a running relay: /healthz, or with --ready /readyz. The listener is the
one that the settings name, so that the same environment serves the relay and its health check.

For container images without a shell: HEALTHCHECK CMD ["/omnirelay", "health"].`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if base == "" {
				c, err := config.Load(path, a.environ)
				if err != nil {
					return err
				}
				if base, err = adminURL(c.AdminListen); err != nil {
					return err
				}
			}
			page := "/healthz"
			if ready {
				page = "/readyz"
			}
			url := strings.TrimSuffix(base, "/") + page
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			if err := askHealth(ctx, url); err != nil {
				return err
			}
			if a.output == formatJSON {
				return a.printJSON(struct {
					OK  bool   `json:"ok"`
					URL string `json:"url"`
				}{true, url})
			}
			return a.printf("%s answers 200.\n", url)
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&base, "url", "", "base URL of the admin listener (default: from the settings)")
	cmd.Flags().BoolVar(&ready, "ready", false, "ask whether it takes messages and delivers, not only whether it lives")
	cmd.Flags().DurationVar(&timeout, "timeout", 2*time.Second, "how long to wait for the answer")
	return cmd
}

// askHealth succeeds when url answers 200. Proxies of the environment are passed by: the
// relay to ask is on this machine.
func askHealth(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return misuse("the URL of the admin listener: %w", err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("no relay answers at %s: %w", url, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 512)) // the status alone is telling
	return fmt.Errorf("the relay at %s answers %d: %q", url, resp.StatusCode, strings.TrimSpace(string(said)))
}

// adminURL is where a listener can be reached from its own machine: one that binds every
// address, on loopback.
func adminURL(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("reading the admin listener's address: %w", err)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip == netip.IPv4Unspecified() {
		host = "127.0.0.1"
	} else if err == nil && ip == netip.IPv6Unspecified() {
		host = "::1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

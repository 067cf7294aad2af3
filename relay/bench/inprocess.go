package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"omnirelay/relay/client"
	"omnirelay/relay/config"
	"omnirelay/relay/daemon"
	"omnirelay/signer"
)

// pipeline is one way from a sender to the receiver: the relay's or the bare one.
type pipeline interface {
	intake() intake
	close() error
}

// inProcess is a relay in this process, as "omnirelay serve" runs it.
type inProcess struct {
	daemon *daemon.Daemon
	dir    string
	admin  admin
}

// benchKey is the API key of every relay that is measured: they are reachable on loopback
// only, for as long as a run takes.
const benchKey = "bench-0123456789abcdef0123456789abcdef"

func (o Options) startRelay(ctx context.Context, sync string) (*inProcess, error) {
	dir, err := os.MkdirTemp(o.Dir, "omnirelay-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	c := config.Default()
	c.Listen, c.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	c.DataDir = dir
	c.BootstrapKey = config.NewSecret(benchKey)
	c.Sync = sync
	c.Egress.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	if o.Shards > 0 {
		c.Queue.Shards = o.Shards
	}
	// The level of a daemon in service; what is written is errors only.
	log := zerolog.New(&zerolog.FilteredLevelWriter{Writer: zerolog.LevelWriterAdapter{Writer: o.Progress}, Level: zerolog.ErrorLevel}).
		Level(zerolog.InfoLevel)
	d, err := daemon.New(ctx, daemon.Options{Config: c, Version: o.Version, Log: log})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	r := &inProcess{daemon: d, dir: dir}
	if err := d.Start(ctx); err != nil {
		return nil, errors.Join(err, r.close())
	}
	if r.admin, err = newAdmin("http://" + d.Addr().String()); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *inProcess) intake() intake { return r.admin.intake() }

func (r *inProcess) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return errors.Join(r.daemon.Stop(ctx), os.RemoveAll(r.dir))
}

// admin makes what a run needs in a relay, over its API.
type admin struct {
	base   *url.URL
	client *client.Client
}

func newAdmin(base string) (admin, error) {
	u, err := url.Parse(base)
	if err != nil {
		return admin{}, fmt.Errorf("the relay's address: %w", err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: channelsAtOnce}
	c, err := client.New(client.Options{BaseURL: base, Key: benchKey, HTTP: &http.Client{Transport: transport, Timeout: time.Minute}})
	return admin{base: u, client: c}, err
}

func (a admin) intake() intake {
	return intake{
		url:    &url.URL{Scheme: a.base.Scheme, Host: a.base.Host, Path: "/api/v2/message"},
		header: http.Header{"Content-Type": {"application/json"}, "Apikey": {benchKey}},
	}
}

// channelsAtOnce is how many channels are created side by side.
const channelsAtOnce = 16

// channels creates n channels, the i-th with an endpoint of its own, and returns their ids in
// the same order. Their requests are signed.
func (a admin) channels(ctx context.Context, n int, fields func(i int) client.ChannelFields) ([]int64, error) {
	ids := make([]int64, n)
	errs := make([]error, n)
	secret := signer.NewSecret().Reveal()
	var all sync.WaitGroup
	for worker := range min(channelsAtOnce, n) {
		all.Go(func() {
			for i := worker; i < n && ctx.Err() == nil; i += channelsAtOnce {
				f := fields(i)
				f.Name, f.Secret = new(fmt.Sprintf("bench %d", i)), &secret
				c, err := a.client.CreateChannel(ctx, f)
				if ids[i], errs[i] = c.ID, err; err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("creating the channels: %w", err)
	}
	return ids, context.Cause(ctx)
}

// leadingTo are the fields of channels that all lead to one endpoint.
func leadingTo(endpoint string) func(int) client.ChannelFields {
	return func(int) client.ChannelFields { return client.ChannelFields{Endpoint: &endpoint} }
}

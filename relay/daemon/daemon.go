// Package daemon puts the relay together: it is the only place that knows every part. New
// opens the store and binds the listeners, Start serves, Stop undoes all of it in reverse.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"golang.org/x/net/netutil"

	"omnirelay/endpoints"
	"omnirelay/queue"
	"omnirelay/queue/natsd"
	"omnirelay/relay"
	"omnirelay/relay/api"
	"omnirelay/relay/auth"
	"omnirelay/relay/config"
	"omnirelay/relay/deliver"
	"omnirelay/relay/dispatch"
	"omnirelay/relay/egress"
)

// Options are a daemon's surroundings.
type Options struct {
	Config  config.Config
	Version string
	Log     zerolog.Logger
}

// Daemon is one relay process.
type Daemon struct {
	o          Options
	undo       cleanups
	public     net.Listener
	admin      net.Listener
	api        *http.Server
	adminAPI   *http.Server
	conn       *natsd.Conn
	dispatcher *dispatch.Dispatcher
	log        *queue.Log
	newKey     string
	ready      atomic.Bool
	failed     chan error // of a server that ended by itself
}

// New opens the store and binds both listeners, but answers nothing yet. When it fails,
// whatever it had opened is closed again.
func New(ctx context.Context, o Options) (*Daemon, error) {
	d := &Daemon{o: o, undo: cleanups{log: o.Log}, failed: make(chan error, 2)}
	if err := d.setup(ctx); err != nil {
		return nil, errors.Join(err, d.undo.run(context.WithoutCancel(ctx)))
	}
	return d, nil
}

// setup is one long list on purpose: it shows what stands on what.
func (d *Daemon) setup(ctx context.Context) error {
	c, log := d.o.Config, d.o.Log

	// The listeners first: an address in use should cost nothing.
	var err error
	if d.public, err = d.listen(ctx, "listen", c.Listen); err != nil {
		return err
	}
	files := openFiles()
	d.public = netutil.LimitListener(d.public, share(files))
	if d.admin, err = d.listen(ctx, "admin_listen", c.AdminListen); err != nil {
		return err
	}

	// The store.
	if d.conn, err = connect(ctx, c, log); err != nil {
		return err
	}
	d.undo.add("the store's connection", plainly(d.conn.Close))
	js := d.conn.JetStream()
	replicas := c.NATS.Replicas
	d.log, err = queue.Open(ctx, js, queue.Options{
		Shards:            c.Queue.Shards,
		Replicas:          replicas,
		Appends:           d.conn.Appends(),
		Sole:              d.conn.Embedded(),
		AsyncAttempts:     d.conn.Embedded(),
		Flush:             d.flush,
		MaxBytes:          int64(c.Queue.MaxBytes),
		History:           time.Duration(c.Queue.History),
		IdempotencyWindow: time.Duration(c.Queue.IdempotencyWindow),
		Log:               log,
	})
	if err != nil {
		return err
	}
	d.undo.add("the logs", quietly(d.log.Close))
	d.undo.add("the watch on the disk", quietly(d.watchSpace()))
	holds, err := d.log.OpenHolds(ctx)
	if err != nil {
		return err
	}
	d.undo.add("the holds", quietly(holds.Close))
	replays, err := d.log.OpenReplays(ctx)
	if err != nil {
		return err
	}
	d.undo.add("the replays", quietly(replays.Close))

	// The registries.
	defaults := c.Delivery.Policy()
	channels, err := endpoints.Open(ctx, js, endpoints.Options{Replicas: replicas, Defaults: &defaults, Flush: d.flush, Log: log})
	if err != nil {
		return err
	}
	d.undo.add("the channel registry", quietly(channels.Close))
	keys, err := auth.Open(ctx, js, auth.Options{Replicas: replicas, Flush: d.flush, Log: log})
	if err != nil {
		return err
	}
	d.undo.add("the key registry", quietly(keys.Close))
	if d.newKey, err = firstKey(ctx, c, keys); err != nil {
		return err
	}

	live, err := d.openLiveChat(ctx)
	if err != nil {
		return err
	}

	// HTTP out.
	guard := egress.New(c.Egress.Allow)
	transport := guard.Transport()
	transport.MaxIdleConns = min(transport.MaxIdleConns, share(files))
	transport.MaxIdleConnsPerHost = transport.MaxIdleConns
	d.undo.add("kept connections", quietly(transport.CloseIdleConnections))
	requests := min(c.Delivery.TotalConcurrency, share(files))
	if requests < c.Delivery.TotalConcurrency {
		log.Warn().Int("open_files", files).Int("requests", requests).
			Msg("the process may open few files, so fewer deliveries are under way at once than delivery.total_concurrency says; raise its limit (ulimit -n)")
	}
	targets, err := newDestinations(c, channels, live)
	if err != nil {
		return err
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	d.dispatcher = dispatch.New(dispatch.Options{
		Log: d.log,
		Sender: &learning{
			Sender:   deliver.New(deliver.Options{Transport: transport, Resolver: targets, Version: d.o.Version}),
			sessions: live.sessions, tickets: live.tickets, log: log,
		},
		Catalog:  targets,
		Holds:    holds,
		Replays:  replays,
		Observer: &statusTeller{channels: channels, log: d.log, window: time.Duration(c.Queue.IdempotencyWindow)},
		Bounds: dispatch.Bounds{
			QueueMessages: c.Delivery.QueueMessages,
			QueueBytes:    int64(c.Delivery.QueueBytes),
			TotalBytes:    int64(c.Delivery.Memory),
		},
		Requests:       requests,
		BreakerFaults:  c.Delivery.BreakerFailures,
		BreakerMaxWait: time.Duration(c.Delivery.BreakerMaxWait),
		Metrics:        dispatch.NewMetrics(reg),
		Logger:         log,
	}, time.Duration(c.ShutdownTimeout))
	d.undo.add("deliveries", plainly(d.dispatcher.Close))
	d.undo.add("following the channels", quietly(channels.Subscribe(func(id int64) {
		d.dispatcher.Refresh(relay.ChannelDestination(id))
		d.dispatcher.Refresh(relay.StatusDestination(id))
	})))

	// HTTP in.
	handler, err := api.New(api.Options{
		Channels:        channels,
		Keys:            keys,
		Queue:           d.log,
		Holds:           holds,
		Replays:         replays,
		Files:           live.files,
		Schedule:        live.schedule,
		Accounts:        live.accounts,
		Sessions:        live.sessions,
		Links:           live.links,
		Tickets:         live.tickets,
		Queries:         queries(c.Helpdesk, transport),
		CheckURL:        guard.CheckURL,
		PublicURL:       c.BaseURL(d.public.Addr()),
		Version:         d.o.Version,
		BodyLimit:       int64(c.Intake.BodyLimit),
		AttachmentLimit: int64(c.Intake.AttachmentLimit),
		SendAtZone:      c.Intake.Zone(),
		Log:             log,
	})
	if err != nil {
		return err
	}
	d.api = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: time.Duration(c.Intake.ReadHeaderTimeout),
		ReadTimeout:       time.Duration(c.Intake.ReadTimeout),
		IdleTimeout:       time.Duration(c.Intake.IdleTimeout),
	}
	d.api.RegisterOnShutdown(handler.Close) // ends streams, which a shutdown would wait for
	d.adminAPI = &http.Server{
		Handler:           adminHandler(reg, d.conn.Healthy, d.readiness),
		ReadHeaderTimeout: time.Duration(c.Intake.ReadHeaderTimeout),
	}
	return nil
}

func (d *Daemon) listen(ctx context.Context, setting, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", setting, address, err)
	}
	d.undo.add(setting, func(context.Context) error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return l, nil
}

// flush makes a stream of the embedded store survive a power cut before anybody relies on
// what it acknowledged: with sync always. The attempt log is not among these; its last
// moments may be repeated.
func (d *Daemon) flush(stream string) func() error {
	if !d.conn.Embedded() || d.o.Config.Sync != config.SyncAlways {
		return nil
	}
	return d.conn.Flusher(stream).Flush
}

// syncInterval is how often the embedded store fsyncs by itself what was not flushed.
func syncInterval(sync string) time.Duration {
	if sync == config.SyncAlways {
		return 50 * time.Millisecond
	}
	return time.Second
}

func connect(ctx context.Context, c config.Config, log zerolog.Logger) (*natsd.Conn, error) {
	if len(c.NATS.URLs) == 0 {
		return natsd.Embedded(natsd.EmbeddedOptions{
			Dir:          c.DataDir,
			SyncInterval: syncInterval(c.Sync),
			MaxStore:     int64(c.Queue.MaxStore),
			Log:          log,
		})
	}
	return natsd.External(ctx, natsd.ExternalOptions{
		URLs: c.NATS.URLs, Creds: c.NATS.Creds, User: c.NATS.User,
		Password: c.NATS.Password.Reveal(), Token: c.NATS.Token.Reveal(),
		CAFile: c.NATS.CAFile, CertFile: c.NATS.CertFile, KeyFile: c.NATS.KeyFile,
		Log: log,
	})
}

// Start begins to serve: the admin listener first, so that readiness can be watched, then
// the shards are recovered, or shared with other relays, then the API answers.
func (d *Daemon) Start(ctx context.Context) error {
	d.serve("the admin listener", d.adminAPI, d.admin)
	if err := d.own(ctx); err != nil {
		return err
	}
	d.serve("the API", d.api, d.public)
	d.ready.Store(true)
	return nil
}

func (d *Daemon) serve(name string, s *http.Server, l net.Listener) {
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			d.failed <- fmt.Errorf("%s ended: %w", name, err)
		}
	}()
	d.undo.add(name, func(ctx context.Context) error {
		if err := s.Shutdown(ctx); err != nil {
			return errors.Join(err, s.Close())
		}
		return nil
	})
}

func (d *Daemon) readiness() error {
	if !d.ready.Load() {
		return errors.New("not ready: the shards are not recovered yet, or the relay is stopping")
	}
	return d.conn.Healthy()
}

// Stop ends everything in reverse order: no new requests, then no new deliveries, then what
// is under way is waited for and recorded. It may be called more than once, and without
// Start.
func (d *Daemon) Stop(ctx context.Context) error {
	d.ready.Store(false)
	return d.undo.run(ctx)
}

// Failed tells when a server ended by itself.
func (d *Daemon) Failed() <-chan error { return d.failed }

// Addr is where the API listens.
func (d *Daemon) Addr() net.Addr { return d.public.Addr() }

// AdminAddr is where health and metrics are served.
func (d *Daemon) AdminAddr() net.Addr { return d.admin.Addr() }

// NewKey is the API key that this start has made; empty when there was one before.
func (d *Daemon) NewKey() string { return d.newKey }

// Run is New, Start, and Stop once ctx ends or a server fails. started, when not nil, is
// called between Start and the wait.
func Run(ctx context.Context, o Options, started func(*Daemon)) error {
	d, err := New(ctx, o)
	if err != nil {
		return err
	}
	err = d.Start(ctx)
	if err == nil {
		if started != nil {
			started(d)
		}
		select {
		case <-ctx.Done():
			o.Log.Info().Msg("stopping")
		case err = <-d.Failed():
		}
	}
	// A little longer than deliveries may take, so that they are the ones to be cut off.
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(o.Config.ShutdownTimeout)+15*time.Second)
	defer cancel()
	return errors.Join(err, d.Stop(stopping))
}

package natsd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// ExternalOptions says how to reach a NATS cluster.
type ExternalOptions struct {
	URLs     []string // nats:// or tls://
	Creds    string   // path of a credentials file; empty for none
	User     string
	Password string
	Token    string
	CAFile   string // PEM bundle; empty for the system's
	CertFile string // client certificate, with KeyFile
	KeyFile  string

	// Patience is how long to wait for a cluster that does not answer yet, as when relays
	// and servers start together; default 30s. What the cluster refuses is an error at once.
	Patience time.Duration
	Log      zerolog.Logger
}

// LeastPayload is what the servers' max_payload has to be at least, bytes.
const LeastPayload = 8 << 20

// External connects to a cluster with JetStream. The connection comes back by itself after an
// outage, for ever; until then every operation fails in its own time.
func External(ctx context.Context, o ExternalOptions) (*Conn, error) {
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	c, err := open(func(name string) (nc *nats.Conn, err error) {
		err = o.persist(ctx, func() (err error) {
			nc, err = nats.Connect(strings.Join(o.URLs, ","), o.options(name)...)
			// Every server was tried and none answered; anything else is an answer.
			if err != nil && !errors.Is(err, nats.ErrNoServers) && !errors.Is(err, nats.ErrTimeout) {
				return backoff.Permanent(err)
			}
			return err
		})
		return nc, err
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	if err := o.check(ctx, c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.js = patient{c.js, o}
	return c, nil
}

func (o ExternalOptions) options(name string) []nats.Option {
	opts := []nats.Option{
		nats.Name(name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.Timeout(5 * time.Second),
		// A dead peer is noticed after three pings, within a lease.
		nats.PingInterval(1500 * time.Millisecond),
		nats.MaxPingsOutstanding(2),
		// A server whose machine is gone takes what is sent to it until a buffer is full. Whoever
		// writes then waits for this long under the connection's lock, one after another, and the
		// pings that would tell wait for the lock as well: the first such error is enough.
		nats.FlusherTimeout(5 * time.Second),
		nats.ReconnectOnFlusherError(),
		// While disconnected nothing is buffered: a late append would be a surprise.
		nats.ReconnectBufSize(-1),
		complain(o.Log),
		// Refused again while a server is given new users is no reason to give up for good.
		nats.IgnoreAuthErrorAbort(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			o.Log.Warn().Err(err).Str("connection", name).Msg("NATS disconnected")
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			o.Log.Info().Str("connection", name).Str("server", nc.ConnectedServerName()).Msg("NATS connected again")
		}),
	}
	if o.Creds != "" {
		opts = append(opts, nats.UserCredentials(o.Creds))
	}
	if o.User != "" {
		opts = append(opts, nats.UserInfo(o.User, o.Password))
	}
	if o.Token != "" {
		opts = append(opts, nats.Token(o.Token))
	}
	if o.CAFile != "" {
		opts = append(opts, nats.RootCAs(o.CAFile))
	}
	if o.CertFile != "" {
		opts = append(opts, nats.ClientCert(o.CertFile, o.KeyFile))
	}
	return opts
}

// check makes sure that the cluster can do what the relay will ask of it.
func (o ExternalOptions) check(ctx context.Context, c *Conn) error {
	if most := c.nc.MaxPayload(); most < LeastPayload {
		return fmt.Errorf("the NATS server %s takes messages of up to %d bytes and the relay needs %d; set max_payload: 8MB in the servers' configuration",
			c.nc.ConnectedServerName(), most, LeastPayload)
	}
	err := o.persist(ctx, func() error {
		asking, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		_, err := c.js.AccountInfo(asking)
		if errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
			return backoff.Permanent(err)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("the NATS cluster answers, but its JetStream does not: %w; see that jetstream is enabled in the servers' configuration and for the user's account, and that most of the servers run", err)
	}
	return nil
}

// persist tries until patience is at its end or trying is of no use.
func (o ExternalOptions) persist(ctx context.Context, try func() error) error {
	wait := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(o.Patience))
	return backoff.RetryNotify(try, backoff.WithContext(wait, ctx), func(err error, _ time.Duration) {
		o.Log.Warn().Err(err).Msg("the NATS cluster is not ready; waiting for it")
	})
}

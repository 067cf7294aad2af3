package natsd

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
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
	Log      zerolog.Logger
}

// External connects to a cluster. The connection comes back by itself after an outage,
// for ever; until then every operation fails in its own time.
func External(o ExternalOptions) (*Conn, error) {
	opts := []nats.Option{
		nats.Name("omnirelay"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.Timeout(5 * time.Second),
		// A dead peer is noticed after two missed pings, well within a lease.
		nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2),
		// While disconnected nothing is buffered: a late append would be a surprise.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			o.Log.Warn().Err(err).Msg("NATS disconnected")
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			o.Log.Info().Str("server", nc.ConnectedServerName()).Msg("NATS connected again")
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
	nc, err := nats.Connect(strings.Join(o.URLs, ","), opts...)
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	return wrap(nc)
}

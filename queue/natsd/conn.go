package natsd

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// Conn is an open connection, and the embedded server behind it where there is one. It is two
// connections in truth. The server answers a read of a stream in the connection's own loop
// (nats-server 2.15, processDirectGetRequest), and a read of something old brings a whole block
// of the stream's file into memory, 8 MiB: what comes behind it on the same connection waits for
// milliseconds. So what is appended to the logs, which somebody waits for, goes over a
// connection of its own.
type Conn struct {
	nc      *nats.Conn
	appends *nats.Conn // may be nc itself
	js      jetstream.JetStream
	server  *server.Server // nil for an external cluster
	unlock  func() error
}

// JetStream is what the logs and registries are built on.
func (c *Conn) JetStream() jetstream.JetStream { return c.js }

// NATS is the plain connection beneath.
func (c *Conn) NATS() *nats.Conn { return c.nc }

// Appends is the connection that no read holds up.
func (c *Conn) Appends() *nats.Conn { return c.appends }

// Embedded reports whether the server runs in this process, so that this process is its
// only client.
func (c *Conn) Embedded() bool { return c.server != nil }

// Healthy returns nil when the server answers.
func (c *Conn) Healthy() error {
	for _, nc := range []*nats.Conn{c.nc, c.appends} {
		if nc.Status() != nats.CONNECTED {
			return fmt.Errorf("connection to NATS is %s", nc.Status())
		}
	}
	if c.server != nil && !c.server.JetStreamEnabled() {
		return errors.New("the embedded JetStream is disabled, as after a failed write; look at the log above and at the disk")
	}
	return nil
}

// Close ends the connections, then stops the embedded server, which flushes its files, and
// gives the data directory free.
func (c *Conn) Close() error {
	c.appends.Close()
	c.nc.Close()
	if c.server == nil {
		return nil
	}
	c.server.Shutdown()
	c.server.WaitForShutdown()
	return c.unlock()
}

// open makes the two connections with connect.
func open(connect func(name string) (*nats.Conn, error)) (*Conn, error) {
	nc, err := connect("omnirelay")
	if err != nil {
		return nil, err
	}
	appends, err := connect("omnirelay appends")
	if err != nil {
		nc.Close()
		return nil, err
	}
	return wrap(nc, appends)
}

// complain logs what the client has nobody to return to, such as a subscriber that is too slow. It
// would print that to the standard error stream itself.
func complain(log zerolog.Logger) nats.Option {
	return nats.ErrorHandler(func(nc *nats.Conn, _ *nats.Subscription, err error) {
		if !nc.IsClosed() { // else it is what was on its way when it was closed
			log.Warn().Err(err).Str("connection", nc.Opts.Name).Msg("the NATS client reports an error")
		}
	})
}

func wrap(nc, appends *nats.Conn) (*Conn, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		appends.Close()
		nc.Close()
		return nil, fmt.Errorf("opening JetStream: %w", err)
	}
	return &Conn{nc: nc, appends: appends, js: js, unlock: func() error { return nil }}, nil
}

package natsd

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Conn is an open connection, and the embedded server behind it where there is one.
type Conn struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	server *server.Server // nil for an external cluster
	unlock func() error
}

// JetStream is what the logs and registries are built on.
func (c *Conn) JetStream() jetstream.JetStream { return c.js }

// NATS is the plain connection beneath.
func (c *Conn) NATS() *nats.Conn { return c.nc }

// Embedded reports whether the server runs in this process, so that this process is its
// only client.
func (c *Conn) Embedded() bool { return c.server != nil }

// Healthy returns nil when the server answers.
func (c *Conn) Healthy() error {
	if c.nc.Status() != nats.CONNECTED {
		return fmt.Errorf("connection to NATS is %s", c.nc.Status())
	}
	if c.server != nil && !c.server.JetStreamEnabled() {
		return errors.New("the embedded JetStream is disabled, as after a failed write; look at the log above and at the disk")
	}
	return nil
}

// Close ends the connection, then stops the embedded server, which flushes its files, and
// gives the data directory free.
func (c *Conn) Close() error {
	c.nc.Close()
	if c.server == nil {
		return nil
	}
	c.server.Shutdown()
	c.server.WaitForShutdown()
	return c.unlock()
}

func wrap(nc *nats.Conn) (*Conn, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("opening JetStream: %w", err)
	}
	return &Conn{nc: nc, js: js, unlock: func() error { return nil }}, nil
}

package natsd

import (
	"errors"
	"fmt"
	"net"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Another makes one more connection to an embedded server, as if from another process, a single
// one for everything: its Close leaves the server running. What between returns stands between
// the two, for whoever wants to look on or to interfere.
func (c *Conn) Another(between func(net.Conn) net.Conn) (*Conn, error) {
	if c.server == nil {
		return nil, errors.New("only an embedded server takes another connection of this kind")
	}
	nc, err := nats.Connect("", nats.InProcessServer(wrapped{c.server, between}), nats.Name("omnirelay"), nats.MaxReconnects(-1))
	if err != nil {
		return nil, fmt.Errorf("connecting to the embedded JetStream: %w", err)
	}
	return wrap(nc, nc)
}

type wrapped struct {
	server *server.Server
	wrap   func(net.Conn) net.Conn
}

// InProcessConn implements nats.InProcessConnProvider.
func (w wrapped) InProcessConn() (net.Conn, error) {
	c, err := w.server.InProcessConn()
	if err != nil {
		return nil, err
	}
	return w.wrap(c), nil
}

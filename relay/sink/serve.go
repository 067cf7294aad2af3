package sink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Serve answers on the listener until the context ends, then lets answers under way finish,
// cuts off those that hang, and returns nil.
func (s *Sink) Serve(ctx context.Context, listener net.Listener) error {
	return serve(ctx, listener, s)
}

func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	base, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		BaseContext:       func(net.Listener) context.Context { return base },
	}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	select {
	case err := <-stopped:
		return fmt.Errorf("receiving webhooks on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	release() // sends away whoever hangs or waits for a slow answer
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := server.Shutdown(patience)
	if errors.Is(err, context.DeadlineExceeded) {
		// What is left are connections that a sender opened and never used, which count as active
		// for five seconds (net/http, Server.Shutdown): nobody waits for an answer on them.
		err = server.Close()
	}
	if ended := <-stopped; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	if err != nil {
		return fmt.Errorf("stopping the webhook receiver: %w", err)
	}
	return nil
}

package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// receiver is the endpoint of every channel: it reads a message, notes it in the ledger and
// answers 200 with no body.
type receiver struct {
	address string
	server  *http.Server
	closing chan struct{}
	buffers sync.Pool
	ledger  atomic.Pointer[ledger]

	// failEvery makes every n-th request fail with 503 before it is noted; 0 for none.
	failEvery atomic.Int64
	requests  atomic.Int64
}

// hangPath is where the receiver reads a message and never answers.
const hangPath = "/hang"

func newReceiver(ctx context.Context) (*receiver, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening the receiver: %w", err)
	}
	r := &receiver{
		address: l.Addr().String(),
		closing: make(chan struct{}),
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(l) }() // ends with close
	return r, nil
}

func (r *receiver) close() {
	close(r.closing)
	_ = r.server.Close()
}

func (r *receiver) url() string { return "http://" + r.address + "/in" }

func (r *receiver) hangURL() string { return "http://" + r.address + hangPath }

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	buf := r.buffers.Get().(*bytes.Buffer)
	defer r.buffers.Put(buf)
	buf.Reset()
	if _, err := buf.ReadFrom(req.Body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if req.URL.Path == hangPath {
		select {
		case <-req.Context().Done():
		case <-r.closing:
		}
		return
	}
	if every := r.failEvery.Load(); every > 0 && r.requests.Add(1)%every == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if l := r.ledger.Load(); l != nil {
		if m, ok := findMarker(buf.Bytes()); ok {
			l.see(m)
		}
	}
}

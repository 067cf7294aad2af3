package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"omnirelay/queue/natsd"
	"omnirelay/signer"
)

// bare is the least that takes a message in, stores it, and delivers it signed: the same
// embedded server and the same HTTP library as the relay's, one publish and one
// acknowledgement a message, and nothing else. It decodes nothing, keeps no order, isolates
// nothing, and remembers nothing of what it delivered.
type bare struct {
	conn      *natsd.Conn
	dir       string
	server    *http.Server
	listener  net.Listener
	transport *http.Transport
	consuming jetstream.ConsumeContext
	jobs      chan jetstream.Msg
	workers   sync.WaitGroup
	secret    signer.Secret
	target    *url.URL
}

const (
	bareSubject = "bare.messages"
	// bareWorkers is how many deliveries are under way at once, unless Options say otherwise.
	// More or fewer made it slower, on two cores.
	bareWorkers    = 64
	bareAckPending = 1024
)

func (o Options) startBare(ctx context.Context, syncAlways bool, target string) (*bare, error) {
	dir, err := os.MkdirTemp(o.Dir, "omnirelay-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	b := &bare{dir: dir, jobs: make(chan jetstream.Msg), secret: signer.NewSecret()}
	if err := b.setup(ctx, syncAlways, target, o.BareWorkers); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bare) setup(ctx context.Context, syncAlways bool, target string, workers int) error {
	var err error
	if b.target, err = url.Parse(target); err != nil {
		return fmt.Errorf("the receiver's address: %w", err)
	}
	b.conn, err = natsd.Embedded(natsd.EmbeddedOptions{Dir: b.dir, SyncAlways: syncAlways, Log: zerolog.Nop()})
	if err != nil {
		return err
	}
	js := b.conn.JetStream()
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: "BARE", Subjects: []string{bareSubject}, Storage: jetstream.FileStorage,
	})
	if err != nil {
		return fmt.Errorf("making the bare pipeline's stream: %w", err)
	}
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: "deliver", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: bareAckPending,
	})
	if err != nil {
		return fmt.Errorf("making the bare pipeline's consumer: %w", err)
	}
	b.transport = &http.Transport{
		MaxIdleConns: workers, MaxIdleConnsPerHost: workers, DisableCompression: true,
	}
	for range workers {
		b.workers.Go(b.work)
	}
	b.consuming, err = consumer.Consume(func(m jetstream.Msg) { b.jobs <- m })
	if err != nil {
		return fmt.Errorf("starting the bare pipeline's consumer: %w", err)
	}
	b.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("opening the bare pipeline's listener: %w", err)
	}
	b.server = &http.Server{Handler: http.HandlerFunc(b.accept), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = b.server.Serve(b.listener) }() // ends with close
	return nil
}

func (b *bare) intake() intake {
	return intake{
		url:    &url.URL{Scheme: "http", Host: b.listener.Addr().String(), Path: "/"},
		header: http.Header{"Content-Type": {"application/json"}},
	}
}

// accept stores the body and answers when JetStream has acknowledged it.
func (b *bare) accept(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ack, err := b.conn.JetStream().PublishMsg(r.Context(), &nats.Msg{Subject: bareSubject, Data: body})
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"messageID":"%d"}`, ack.Sequence)
}

func (b *bare) work() {
	for m := range b.jobs {
		if err := b.deliver(m); err != nil {
			_ = m.NakWithDelay(time.Second)
			continue
		}
		_ = m.Ack() // lost only when the server ends, and then the message comes again
	}
}

func (b *bare) deliver(m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("reading a message's sequence: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.target.String(), bytes.NewReader(m.Data()))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	signer.SetHeaders(req.Header, strconv.FormatUint(meta.Sequence.Stream, 10), time.Now(), m.Data(), b.secret)
	res, err := b.transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("delivering: %w", err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the receiver answered %s", res.Status)
	}
	return nil
}

func (b *bare) close() error {
	var errs []error
	if b.server != nil {
		errs = append(errs, b.server.Close())
	}
	if b.consuming != nil {
		b.consuming.Stop()
		<-b.consuming.Closed()
	}
	close(b.jobs)
	b.workers.Wait()
	if b.transport != nil {
		b.transport.CloseIdleConnections()
	}
	if b.conn != nil {
		errs = append(errs, b.conn.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

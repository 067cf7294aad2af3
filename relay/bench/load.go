package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// intake is where a pipeline takes messages in.
type intake struct {
	url    *url.URL
	header http.Header
}

// pace is how messages are handed in.
type pace struct {
	connections int
	duration    time.Duration // 0: until messages are sent
	messages    int           // 0: until duration is over
	rate        float64       // messages a second, evenly; 0: each connection as fast as it is answered
}

// capacity is how many messages a run of this pace can have at most; one that is faster
// than anything this has been seen to be ends early.
func (p pace) capacity() int {
	switch {
	case p.messages > 0:
		return p.messages
	case p.rate > 0:
		return int(p.rate*p.duration.Seconds()*1.1) + p.connections
	}
	return int(50_000*p.duration.Seconds()) + p.connections
}

// sender hands messages in over keep-alive connections.
type sender struct {
	to       intake
	ledger   *ledger
	channels []int64 // a conversation belongs to the channel at its number, in turn
	size     int     // of a body, bytes

	// insist sends a message again, with the same idempotency key, until it is accepted.
	insist bool

	transport *http.Transport
	mu        sync.Mutex
	refused   int
	firstErr  error
}

// conversationsFor is how many conversations a number of connections and channels get: a
// multiple of the connections, since each conversation is sent by one connection only, one
// message at a time, so that its order is known.
func conversationsFor(connections, channels int) int {
	n := max(channels, 16*connections)
	return (n + connections - 1) / connections * connections
}

// send runs until the pace is done or ctx ends, and returns the first refusal with how many
// there were.
func (s *sender) send(ctx context.Context, p pace) error {
	s.transport = &http.Transport{
		MaxIdleConns: p.connections, MaxIdleConnsPerHost: p.connections, DisableCompression: true,
	}
	defer s.transport.CloseIdleConnections()
	began := time.Now()
	var all sync.WaitGroup
	for worker := range p.connections {
		all.Go(func() { s.connection(ctx, p, worker, began) })
	}
	all.Wait()
	if s.firstErr != nil && !s.insist {
		return fmt.Errorf("%d requests failed, the first with: %w", s.refused, s.firstErr)
	}
	return nil
}

func (s *sender) connection(ctx context.Context, p pace, worker int, began time.Time) {
	buf := make([]byte, 0, 2*s.size)
	conversations := len(s.ledger.newest)
	for k := 0; ctx.Err() == nil; k++ {
		turn := worker + k*p.connections
		at := time.Now()
		if p.rate > 0 {
			due := began.Add(time.Duration(float64(turn) / p.rate * float64(time.Second)))
			if wait := due.Sub(at); wait > 0 {
				time.Sleep(wait)
				at = time.Now() // the timer's lateness is nobody's latency
			} else {
				at = due // but waiting behind a slow answer is
			}
		}
		if p.duration > 0 && at.Sub(began) >= p.duration {
			return
		}
		n := s.ledger.take()
		if n == 0 {
			return
		}
		conversation := turn % conversations
		m := marker{s.ledger.run, n, conversation}
		buf = s.compose(buf[:0], m)
		s.ledger.request(n, at)
		for {
			err := s.post(ctx, buf, m)
			if err == nil {
				s.ledger.accept(n)
				break
			}
			if ctx.Err() != nil {
				return
			}
			s.mu.Lock()
			s.refused++
			if s.firstErr == nil {
				s.firstErr = err
			}
			s.mu.Unlock()
			buf = bytes.Clone(buf) // the transport may still read the old one
			time.Sleep(20 * time.Millisecond)
			if !s.insist {
				break
			}
		}
	}
}

// compose writes the body of a message: what POST /api/v2/message takes, filled up to size.
func (s *sender) compose(buf []byte, m marker) []byte {
	buf = append(buf, `{"ticketID":`...)
	buf = strconv.AppendInt(buf, int64(1_000_000+m.conversation), 10)
	buf = append(buf, `,"type":"`...)
	buf = strconv.AppendInt(buf, s.channels[m.conversation%len(s.channels)], 10)
	buf = append(buf, `","message":"`...)
	buf = m.append(buf)
	for len(buf) < s.size-2 {
		buf = append(buf, " the quick brown fox jumps over the lazy dog"[:min(44, s.size-2-len(buf))]...)
	}
	return append(buf, `"}`...)
}

// post makes one request; anything but a 200 is an error.
func (s *sender) post(ctx context.Context, body []byte, m marker) error {
	header := s.to.header
	if s.insist {
		header = maps.Clone(header)
		header["Idempotency-Key"] = []string{string(m.append(nil))}
	}
	req := (&http.Request{
		Method: http.MethodPost, URL: s.to.url, Host: s.to.url.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}).WithContext(ctx)
	res, err := s.transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("handing a message in: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 512))
		return fmt.Errorf("handing a message in: answered %s: %s", res.Status, text)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}

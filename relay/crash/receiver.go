package crash

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// receiver is the endpoint of every channel: it answers by the channel's mood of the moment
// and writes down what came.
type receiver struct {
	server   *http.Server
	listener net.Listener
	moods    []atomic.Int32 // by channel
	ended    atomic.Bool    // all moods are good from now on

	mu        sync.Mutex
	dice      *rand.Rand
	life      int // which life of the relay is sending
	order     uint64
	delivered int                  // messages that got a 2xx
	messages  map[string]*sighting // by webhook-id
	open      int                  // connections
	closed    chan struct{}        // told whenever open becomes 0
}

// mood is how an endpoint behaves.
type mood = int32

const (
	good   mood = iota
	slow        // answers well, later
	broken      // answers 503
	cut         // takes the message and closes the connection without an answer
	moods
)

// sighting is what a receiver knows of a message.
type sighting struct {
	conversation string
	number       int    // in the conversation, as the sender counts
	first        uint64 // when it was first seen, counted in arrivals
	delivered    bool   // got a 2xx
	arrivals     []*arrival
}

// arrival is one time that a message came.
type arrival struct {
	life     int
	answered time.Time // when it was answered with a 2xx; zero when it was not
}

func newReceiver(ctx context.Context, seed uint64, channels int) (*receiver, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{
		listener: l,
		moods:    make([]atomic.Int32, channels),
		dice:     rand.New(rand.NewPCG(seed, 1)),
		messages: map[string]*sighting{},
		closed:   make(chan struct{}, 1),
	}
	r.server = &http.Server{Handler: r, ConnState: r.connection, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(l) }() // ends with close
	return r, nil
}

func (r *receiver) close() { _ = r.server.Close() }

// url is the endpoint of a channel, counted from 0.
func (r *receiver) url(channel int) string {
	return "http://" + r.listener.Addr().String() + "/" + strconv.Itoa(channel)
}

// connection counts the connections that are open.
func (r *receiver) connection(_ net.Conn, s http.ConnState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch s {
	case http.StateNew:
		r.open++
	case http.StateClosed, http.StateHijacked:
		if r.open--; r.open == 0 {
			select {
			case r.closed <- struct{}{}:
			default:
			}
		}
	}
}

// nextLife waits until every connection of the dead relay is gone, so that nothing of it can
// be taken for its successor's, and begins the successor's life.
func (r *receiver) nextLife() {
	for {
		r.mu.Lock()
		if r.open == 0 {
			r.life++
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		<-r.closed
	}
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	channel, err := strconv.Atoi(strings.TrimPrefix(req.URL.Path, "/"))
	if err != nil || channel < 0 || channel >= len(r.moods) {
		http.NotFound(w, req)
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // cut off: never came
	}
	s, a, wait := r.arrive(req.Header.Get("webhook-id"), body)
	m := r.moods[channel].Load()
	if r.ended.Load() {
		m = good
	}
	switch m {
	case slow:
		timer := time.NewTimer(wait)
		defer timer.Stop()
		<-timer.C
	case broken:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case cut:
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's own way: closes the connection without an answer
	}
	// Before the answer is written: once it is on its way, the relay may have it.
	r.mu.Lock()
	if a.answered = time.Now(); !s.delivered {
		s.delivered = true
		r.delivered++
	}
	r.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// arrive writes down that a message came. wait is how long a slow endpoint takes.
func (r *receiver) arrive(id string, body []byte) (s *sighting, a *arrival, wait time.Duration) {
	var m struct {
		Data struct {
			Conversation string `json:"conversation"`
			Message      string `json:"message"`
		} `json:"data"`
	}
	// What cannot be read is kept as a message of no conversation, which the check reports.
	_ = json.Unmarshal(body, &m)
	number, err := strconv.Atoi(m.Data.Message)
	if err != nil {
		number = -1
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.order++
	if s = r.messages[id]; s == nil {
		s = &sighting{conversation: m.Data.Conversation, number: number, first: r.order}
		r.messages[id] = s
	}
	a = &arrival{life: r.life}
	s.arrivals = append(s.arrivals, a)
	return s, a, time.Duration(1+r.dice.IntN(40)) * time.Millisecond
}

// count is how many messages have got a 2xx.
func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.delivered
}

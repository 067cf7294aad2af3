package sink

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"omnirelay/signer"
)

// Options says what a Sink does.
type Options struct {
	// Secrets are the signing secrets to verify with, several during a rotation. Without any,
	// signatures are not looked at.
	Secrets []signer.Secret
	Faults  []Fault       // how to misbehave; the first that applies decides
	Seed    uint64        // of the faults with a Chance
	Slow    time.Duration // before every answer
	Out     io.Writer     // one line for each request goes here; nil for none
	JSON    bool          // lines of JSON, with the body, in place of text

	// BodyLimit is the largest body that is read, bytes; default 8 MiB. Larger ones get a 413.
	BodyLimit int64
	// Remember is how many messages and how many conversations are remembered, for repeats
	// and order; default 500,000 (about 100 bytes each).
	Remember int
}

// Sink is a webhook receiver: an http.Handler for every path. GET /stats answers with Stats
// as JSON. It is safe for use by many goroutines.
type Sink struct {
	secrets   []signer.Secret
	plan      *plan
	slow      time.Duration
	ledger    *ledger
	bodyLimit int64

	outMu sync.Mutex
	out   io.Writer
	json  bool

	// desk, when set, reads and answers requests as a helpdesk does.
	desk *Desk
}

// New makes a Sink.
func New(o Options) *Sink {
	if o.BodyLimit == 0 {
		o.BodyLimit = 8 << 20
	}
	if o.Remember == 0 {
		o.Remember = 500_000
	}
	return &Sink{
		secrets:   o.Secrets,
		plan:      newPlan(o.Seed, o.Faults),
		slow:      o.Slow,
		ledger:    newLedger(o.Remember),
		bodyLimit: o.BodyLimit,
		out:       o.Out,
		json:      o.JSON,
	}
}

// Misbehave replaces the faults from the next request on; none makes the sink behave.
func (s *Sink) Misbehave(faults ...Fault) { s.plan.replace(faults) }

const allowed = "POST, OPTIONS"

// ServeHTTP implements http.Handler.
func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodOptions:
		// The answer that the helpdesk asks of an endpoint (Omnidesk, "Webhooks").
		w.Header().Set("Allow", allowed)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet && r.URL.Path == "/stats":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.Stats()) // fails only when the asker has gone
	case r.Method == http.MethodPost:
		s.receive(w, r)
	default:
		w.Header().Set("Allow", allowed)
		http.Error(w, "send webhooks with POST; GET /stats tells what came", http.StatusMethodNotAllowed)
	}
}

// receive handles one delivery.
func (s *Sink) receive(w http.ResponseWriter, r *http.Request) {
	fault := s.plan.next()
	l := &line{At: time.Now(), Path: r.URL.Path, Signature: "unchecked", ContentType: r.Header.Get("Content-Type")}
	l.ID = r.Header.Get(signer.HeaderID)
	s.ledger.count(func(c *Stats) { c.Requests++ })
	if fault.Action == Close {
		s.hangUp(w, l, Close)
		return
	}
	read := s.read
	if s.desk != nil {
		read = s.desk.read
	}
	refusal := read(w, r, l)
	if refusal != 0 {
		s.answer(w, l, refusal, l.Problem)
		return
	}
	l.Sight, l.OutOfOrder = s.ledger.arrive(&l.received)
	switch fault.Action {
	case CloseAfter:
		if s.desk != nil {
			s.desk.take(l) // that is what makes it ambiguous
		}
		s.hangUp(w, l, CloseAfter)
		return
	case Hang:
		<-r.Context().Done()
		s.hangUp(w, l, Hang)
		return
	}
	if !pause(r.Context(), s.slow+fault.Delay) {
		s.hangUp(w, l, Slow)
		return
	}
	status := http.StatusOK
	if fault.Action == Answer {
		status = fault.Status
	}
	if status/100 == 2 {
		if s.ledger.accept(&l.received) {
			l.OutOfOrder = true
		}
		if s.desk != nil {
			s.desk.take(l)
		}
	}
	fault.header(w.Header())
	s.answer(w, l, status, "")
}

// read fills the line from the request. It returns the status to refuse it with, or 0.
func (s *Sink) read(w http.ResponseWriter, r *http.Request, l *line) (refusal int) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.bodyLimit))
	s.ledger.count(func(c *Stats) { c.Bytes += int64(len(body)) })
	if err != nil {
		s.ledger.count(func(c *Stats) { c.Unreadable++ })
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			l.Problem = "the body is larger than " + strconv.FormatInt(s.bodyLimit, 10) + " bytes"
			return http.StatusRequestEntityTooLarge
		}
		l.Problem = "the body did not come in whole"
		return http.StatusBadRequest
	}
	l.Body = string(body)
	if len(s.secrets) > 0 {
		if err := signer.Verify(r.Header, body, l.At, s.secrets...); err != nil {
			l.Signature, l.Problem = "NOT VERIFIED", err.Error()
			s.ledger.count(func(c *Stats) {
				if r.Header.Get(signer.HeaderSignature) == "" {
					c.Unsigned++
				} else {
					c.BadSignature++
				}
			})
			return http.StatusUnauthorized
		}
		l.Signature = "verified"
	} else if r.Header.Get(signer.HeaderSignature) == "" {
		l.Signature = "unsigned"
	}
	if l.ID == "" {
		l.Problem = "the header webhook-id is missing"
	} else if strings.HasPrefix(l.ContentType, "application/json") && !l.decode(body) {
		l.Problem = "the body is no JSON object of a webhook"
	}
	if l.Problem != "" {
		s.ledger.count(func(c *Stats) { c.Unreadable++ })
		return http.StatusBadRequest
	}
	return 0
}

// decode reads the fields of a webhook that are shown and checked; others pass unseen.
func (l *line) decode(body []byte) bool {
	var m struct {
		Type string `json:"type"`
		Data struct {
			ChannelID    int64  `json:"channelID"`
			Conversation string `json:"conversation"`
			Sequence     uint64 `json:"sequence"`
			Message      string `json:"message"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return false
	}
	l.Type, l.ChannelID, l.Conversation = m.Type, m.Data.ChannelID, m.Data.Conversation
	l.Sequence, l.Text = m.Data.Sequence, m.Data.Message
	return true
}

// answer sends a status and prints the line.
func (s *Sink) answer(w http.ResponseWriter, l *line, status int, problem string) {
	l.Answer = strconv.Itoa(status)
	s.ledger.count(func(c *Stats) { c.Answers[l.Answer]++ })
	s.print(l)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if status == http.StatusNoContent || status == http.StatusNotModified {
		return // these have no body (RFC 9110 sections 15.3.5 and 15.4.5)
	}
	if s.desk != nil {
		s.desk.envelope(w, l, status, problem)
		return
	}
	// A sender that has gone does not read its answer; nobody else can be told.
	_ = json.NewEncoder(w).Encode(struct {
		OK      bool   `json:"ok"`
		Problem string `json:"problem,omitempty"`
	}{status/100 == 2, problem})
}

// hangUp closes the connection without an answer and prints the line.
func (s *Sink) hangUp(w http.ResponseWriter, l *line, a Action) {
	l.Answer = string(a)
	s.ledger.count(func(c *Stats) { c.Answers[l.Answer]++ })
	s.print(l)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		// Only a server other than ours gets here, such as one that speaks HTTP/2.
		http.Error(w, "this connection cannot be closed", http.StatusInternalServerError)
		return
	}
	_ = conn.Close()
}

// pause waits, and reports false when the sender or the sink has gone meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

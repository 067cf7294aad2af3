package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"omnirelay/queue/mirror"
)

// Errors of Sessions.
var (
	ErrNoSession = errors.New("no such chat session")
	// ErrSessionTaken means that the session id belongs to another account.
	ErrSessionTaken = errors.New("the chat session belongs to another account")
	// ErrServerChanged means that a call names another chat server than the session's, and
	// nothing proves that it may.
	ErrServerChanged = errors.New("the chat session belongs to another chat server")
)

// Session is one customer's chat.
type Session struct {
	ID        string `json:"id"`      // the chatSessionID
	AccountID string `json:"account"` // never changes
	// Server is the chatServer that gets the agent's replies, spelled as it first came: the
	// helpdesk and the destination's name take it byte by byte.
	Server    string    `json:"server"`
	ChannelID int64     `json:"channelID"`
	TicketID  int64     `json:"ticketID,omitempty"` // 0 until the helpdesk's answer named it
	StartedAt time.Time `json:"startedAt"`
	// SeenAt is the last activity, exact to SessionOptions.TouchEvery.
	SeenAt     time.Time `json:"seenAt"`
	AnsweredAt time.Time `json:"answeredAt,omitzero"` // the first reply of an agent since the chat began
	EndedAt    time.Time `json:"endedAt,omitzero"`    // a message after it begins the chat again
}

// MaxSessionID is the longest chatSessionID, characters, as published for messages.
const MaxSessionID = 65

// sessionPattern is the published form of a chatSessionID in a message.
var sessionPattern = regexp.MustCompile(`^\+?[a-zA-Z0-9\-]+$`)

// The buckets of sessions.
const (
	SessionBucket = "RELAY_CHAT_SESSIONS"
	WaitingBucket = "RELAY_CHAT_WAITING"
)

// SessionOptions are the options of Sessions.
type SessionOptions struct {
	TTL        time.Duration // of silence after which a session is forgotten; default 24h
	TouchEvery time.Duration // activity is written down at most this often; default 5m, at most TTL/4
	Replicas   int           // copies in a cluster; 0 means 1
	// Flush makes what a stream has acknowledged survive a power cut; see mirror.Options.
	Flush func(stream string) func() error
	Log   zerolog.Logger
}

// Sessions knows every session of the last TTL. It keeps in memory only which chats wait for
// an agent.
type Sessions struct {
	o       SessionOptions
	kv      jetstream.KeyValue
	stream  jetstream.Stream // under kv
	flush   func() error     // of the sessions' bucket
	waiting *mirror.Mirror[waiting]
}

// waiting is a chat that no agent has answered yet.
type waiting struct {
	AccountID string    `json:"account"`
	Since     time.Time `json:"since"`
}

// OpenSessions makes the buckets when they are missing. The context bounds OpenSessions only;
// what it returns lives until Close.
func OpenSessions(ctx context.Context, js jetstream.JetStream, o SessionOptions) (*Sessions, error) {
	if o.TTL <= 0 {
		o.TTL = 24 * time.Hour
	}
	if o.TouchEvery <= 0 {
		o.TouchEvery = 5 * time.Minute
	}
	o.TouchEvery = min(o.TouchEvery, o.TTL/4)
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:      SessionBucket,
		Description: "omnirelay: live-chat sessions, until they are silent for long",
		Replicas:    max(o.Replicas, 1),
		TTL:         o.TTL,
	})
	if err != nil {
		return nil, fmt.Errorf("opening the bucket %s: %w", SessionBucket, err)
	}
	stream, err := js.Stream(ctx, "KV_"+SessionBucket)
	if err != nil {
		return nil, fmt.Errorf("opening the bucket %s: %w", SessionBucket, err)
	}
	w, err := mirror.Open(ctx, js, mirror.Options[waiting]{
		Bucket:      WaitingBucket,
		Description: "omnirelay: chats that no agent has answered yet",
		Replicas:    o.Replicas,
		TTL:         o.TTL,
		Encode:      func(v waiting) ([]byte, error) { return json.Marshal(v) },
		Decode: func(_ string, data []byte) (v waiting, err error) {
			err = json.Unmarshal(data, &v)
			return v, err
		},
		Log: o.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("opening the chat sessions: %w", err)
	}
	sessions := &Sessions{o: o, kv: kv, stream: stream, waiting: w}
	if o.Flush != nil {
		sessions.flush = o.Flush("KV_" + SessionBucket)
	}
	return sessions, nil
}

// Close ends following the buckets; what is stored stays.
func (s *Sessions) Close() { s.waiting.Close() }

// The bucket's keys: a session by its id, and a session's id by its ticket. A "+" at an id's
// front is no character of a key, and "=" is none of an id.
func sessionKey(id string) string {
	return "session." + strings.ReplaceAll(id, "+", "=")
}

func ticketKey(ticketID int64) string { return "ticket." + strconv.FormatInt(ticketID, 10) }

// Get returns a session; ErrNoSession when it is not known, or no longer.
func (s *Sessions) Get(ctx context.Context, id string) (Session, error) {
	session, _, err := s.load(ctx, id)
	return session, err
}

func (s *Sessions) load(ctx context.Context, id string) (Session, uint64, error) {
	if len(id) > MaxSessionID || !sessionPattern.MatchString(id) {
		return Session{}, 0, ErrNoSession
	}
	e, err := s.kv.Get(ctx, sessionKey(id))
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrInvalidKey) {
		return Session{}, 0, ErrNoSession
	}
	if err != nil {
		return Session{}, 0, fmt.Errorf("looking up a chat session: %w", err)
	}
	var session Session
	if err := json.Unmarshal(e.Value(), &session); err != nil {
		return Session{}, 0, fmt.Errorf("reading a chat session: %w", err)
	}
	return session, e.Revision(), nil
}

// ByTicket returns the session of a ticket of the helpdesk; ErrNoSession when none is known.
func (s *Sessions) ByTicket(ctx context.Context, ticketID int64) (Session, error) {
	e, err := s.kv.Get(ctx, ticketKey(ticketID))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Session{}, ErrNoSession
	}
	if err != nil {
		return Session{}, fmt.Errorf("looking up the chat session of ticket %d: %w", ticketID, err)
	}
	session, err := s.Get(ctx, string(e.Value()))
	if err == nil && session.TicketID != ticketID {
		return Session{}, ErrNoSession // it has another ticket by now
	}
	return session, err
}

// Begin finds the session that a customer's message or file belongs to, or begins it, and
// notes the activity. A chat that had ended begins again. Errors: ErrSessionTaken, and
// ErrServerChanged unless the account itself names the new server.
func (s *Sessions) Begin(ctx context.Context, a Account, id, server string, channelID int64) (Session, error) {
	return s.change(ctx, id, func(old Session, found bool, now time.Time) (Session, error) {
		if !found {
			return Session{ID: id, AccountID: a.ID, Server: server, ChannelID: channelID, StartedAt: now}, nil
		}
		if old.AccountID != a.ID {
			return old, ErrSessionTaken
		}
		if !SameServer(old.Server, server) {
			if !a.VouchesFor(server) {
				return old, ErrServerChanged
			}
			old.Server = server
		}
		if !old.EndedAt.IsZero() {
			old.EndedAt, old.AnsweredAt = time.Time{}, time.Time{}
		}
		return old, nil
	})
}

// Visit finds the session that an event belongs to, which carries no token: so it must name
// the session's own server. Errors: ErrNoSession, ErrServerChanged.
func (s *Sessions) Visit(ctx context.Context, id, server string) (Session, error) {
	return s.change(ctx, id, func(old Session, found bool, _ time.Time) (Session, error) {
		return visited(old, found, server)
	})
}

// End is Visit for the end of a chat: it waits for no agent any more.
func (s *Sessions) End(ctx context.Context, id, server string) (Session, error) {
	return s.change(ctx, id, func(old Session, found bool, now time.Time) (Session, error) {
		old, err := visited(old, found, server)
		if old.EndedAt.IsZero() {
			old.EndedAt = now
		}
		return old, err
	})
}

func visited(old Session, found bool, server string) (Session, error) {
	switch {
	case !found:
		return old, ErrNoSession
	case !SameServer(old.Server, server):
		return old, ErrServerChanged
	}
	return old, nil
}

// Answer notes that an agent wrote: the chat waits no more.
func (s *Sessions) Answer(ctx context.Context, id string) (Session, error) {
	return s.change(ctx, id, func(old Session, found bool, now time.Time) (Session, error) {
		if !found {
			return old, ErrNoSession
		}
		if old.AnsweredAt.IsZero() {
			old.AnsweredAt = now
		}
		return old, nil
	})
}

// Learn notes the session's ticket in the helpdesk, so that ByTicket finds it. A session that
// is forgotten already is no error.
func (s *Sessions) Learn(ctx context.Context, id string, ticketID int64) error {
	known := false
	_, err := s.change(ctx, id, func(old Session, found bool, _ time.Time) (Session, error) {
		if !found {
			return old, ErrNoSession
		}
		known = old.TicketID == ticketID
		old.TicketID = ticketID
		return old, nil
	})
	if errors.Is(err, ErrNoSession) || err == nil && known {
		return nil
	}
	return err
}

// Waiting is how many chats of an account wait for an agent's first word.
func (s *Sessions) Waiting(accountID string) int {
	n := 0
	since := time.Now().Add(-s.o.TTL) // the store may be slow to take away who is older
	for _, w := range s.waiting.All() {
		if w.AccountID == accountID && w.Since.After(since) {
			n++
		}
	}
	return n
}

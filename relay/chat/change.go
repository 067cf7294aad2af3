package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/queue/mirror"
)

// changeTries bounds the rounds of compare-and-set; each lost one means that somebody else's
// write went through.
const changeTries = 50

// change brings a session forward by compare-and-set. to makes the new session of the old one
// (found is false, and the old one empty, when there is none) and must have no effects of its
// own. A session that to leaves as it is gets written only when its last activity is old
// enough: so a chatty one costs a read each time, and a write every few minutes.
func (s *Sessions) change(ctx context.Context, id string, to func(old Session, found bool, now time.Time) (Session, error)) (Session, error) {
	if len(id) > MaxSessionID || !sessionPattern.MatchString(id) {
		return Session{}, ErrNoSession // no call could have begun it
	}
	for range changeTries {
		now := present()
		old, rev, err := s.load(ctx, id)
		found := err == nil
		if err != nil && !errors.Is(err, ErrNoSession) {
			return Session{}, err
		}
		session, err := to(old, found, now)
		if err != nil {
			return Session{}, err
		}
		if found && session == old && now.Sub(old.SeenAt) < s.o.TouchEvery {
			return session, nil
		}
		session.SeenAt = now
		data, err := json.Marshal(session)
		if err != nil {
			return Session{}, fmt.Errorf("encoding a chat session: %w", err)
		}
		// Crash order: the ticket's record, the session, then who waits. A ticket's record
		// alone leads nowhere (ByTicket asks the session), and a chat that is missing from the
		// queue after a crash, or stays in it, is an error of one in a figure for visitors.
		if session.TicketID != 0 {
			// Also when it did not change: the record must live as long as the session.
			if _, err := s.kv.Put(ctx, ticketKey(session.TicketID), []byte(session.ID)); err != nil {
				return Session{}, fmt.Errorf("storing a chat session's ticket: %w", err)
			}
		}
		if found {
			_, err = s.kv.Update(ctx, sessionKey(id), data, rev)
		} else {
			_, err = s.kv.Create(ctx, sessionKey(id), data)
		}
		if err == nil {
			if s.flush != nil {
				err = s.flush()
			}
			if err != nil {
				return Session{}, fmt.Errorf("storing a chat session: %w", err)
			}
			return session, s.count(ctx, old, session)
		}
		if !errors.Is(err, jetstream.ErrKeyRevisionMismatch) && !errors.Is(err, jetstream.ErrKeyExists) {
			return Session{}, fmt.Errorf("storing a chat session: %w", err)
		}
	}
	return Session{}, fmt.Errorf("%w: chat session", ErrConflict)
}

// count keeps track of who waits.
func (s *Sessions) count(ctx context.Context, old, session Session) error {
	key := sessionKey(session.ID)
	waits := session.AnsweredAt.IsZero() && session.EndedAt.IsZero()
	waited := old.ID != "" && old.AnsweredAt.IsZero() && old.EndedAt.IsZero()
	switch {
	case waits && !waited:
		err := s.waiting.Create(ctx, key, waiting{AccountID: session.AccountID, Since: present()})
		if err != nil && !errors.Is(err, mirror.ErrExists) {
			return fmt.Errorf("counting a chat that waits: %w", err)
		}
	case waited && !waits:
		err := s.waiting.Delete(ctx, key)
		if err != nil && !errors.Is(err, mirror.ErrNotFound) {
			return fmt.Errorf("counting a chat that waits no more: %w", err)
		}
	}
	return nil
}

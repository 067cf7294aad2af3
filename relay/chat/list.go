package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// SessionFilter selects sessions; zero fields match all.
type SessionFilter struct {
	AccountID string
	Limit     int    // default 50
	After     uint64 // SessionPage.Next of the page before
}

// SessionPage is a page of sessions, the one that was written down longest ago first.
type SessionPage struct {
	Items []Session
	Next  uint64 // where the next page goes on; 0 on the last
}

// listMost bounds the records that one page looks at, so that a filter that matches little
// answers soon; the page's Next then goes on from there.
const listMost = 5000

// List pages through the sessions. One that changes meanwhile may show up again, later.
//
// It reads record by record: a watcher of the bucket that is stopped before its end leaves a
// goroutine behind.
func (s *Sessions) List(ctx context.Context, f SessionFilter) (SessionPage, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	page := SessionPage{Next: f.After}
	for range listMost {
		m, err := s.stream.GetMsg(ctx, page.Next+1, jetstream.WithGetMsgSubject("$KV."+SessionBucket+".session.>"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			page.Next = 0
			return page, nil
		}
		if err != nil {
			return SessionPage{}, fmt.Errorf("listing chat sessions: %w", err)
		}
		if len(page.Items) == f.Limit {
			return page, nil // there is more
		}
		page.Next = m.Sequence
		var session Session
		if err := json.Unmarshal(m.Data, &session); err != nil {
			s.o.Log.Warn().Err(err).Msg("a stored chat session cannot be read")
			continue
		}
		if f.AccountID == "" || session.AccountID == f.AccountID {
			page.Items = append(page.Items, session)
		}
	}
	return page, nil
}

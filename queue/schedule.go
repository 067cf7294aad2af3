package queue

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/relay"
)

// scheduleBucket holds, under keys of three sorts:
//
//	due.<Unix milliseconds>.<message id>   a message that waits; the key tells when, so that
//	                                       only keys need be in memory
//	done.<message id>                      where a message went that waited, for as long as history
//	key.<hash>                             the message that a dedupe key made, for as long as such keys
const scheduleBucket = "RELAY_SCHEDULED"

const (
	duePrefix  = "due."
	donePrefix = "done."
	keyPrefix  = "key."
)

// Scheduled is a message that waits for its time, Message.DueAt.
type Scheduled struct {
	Message relay.Message `json:"message"`
	// Sending says that its time has come: it can no longer be cancelled.
	Sending bool `json:"sending,omitempty"`
}

// done is what became of a message that waited.
type done struct {
	Shard    int            `json:"shard"`
	Position relay.Position `json:"position,omitempty"` // in the message log; 0 when cancelled

	// With a message that was cancelled only:
	Message     *relay.Message `json:"message,omitempty"`
	CancelledBy string         `json:"cancelledBy,omitempty"` // the operator
	CancelledAt time.Time      `json:"cancelledAt,omitzero"`
}

// Schedule keeps messages until they are due and then appends them to the message log.
// Several instances may share one; each runs it, and none sends a message twice.
type Schedule struct {
	log   *Log
	kv    jetstream.KeyValue
	flush func() error // nil for none

	mu    sync.Mutex
	due   map[relay.ID]time.Time // every message that waits
	wake  chan struct{}          // holds a token when due has changed
	stop  context.CancelFunc
	done  sync.WaitGroup
	ready chan struct{}
}

// OpenSchedule opens the schedule and begins to send what is due.
func (l *Log) OpenSchedule(ctx context.Context) (*Schedule, error) {
	kv, err := l.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:         scheduleBucket,
		Description:    "omnirelay: messages that wait for their time",
		Replicas:       l.o.Replicas,
		LimitMarkerTTL: time.Minute, // allows keys to expire one by one
	})
	if err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", scheduleBucket, err)
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	w, err := kv.Watch(life, duePrefix+">", jetstream.MetaOnly())
	if err != nil {
		stop()
		return nil, fmt.Errorf("watching bucket %s: %w", scheduleBucket, err)
	}
	s := &Schedule{
		log: l, kv: kv, flush: l.o.flush("KV_" + scheduleBucket), stop: stop,
		due: map[relay.ID]time.Time{}, wake: make(chan struct{}, 1), ready: make(chan struct{}),
	}
	s.done.Go(func() { s.follow(w) })
	s.done.Go(func() { s.run(life) })
	select {
	case <-s.ready:
		return s, nil
	case <-ctx.Done():
		s.Close()
		return nil, fmt.Errorf("reading bucket %s: %w", scheduleBucket, context.Cause(ctx))
	}
}

// Close stops sending; what waits stays stored.
func (s *Schedule) Close() {
	s.stop()
	s.done.Wait()
}

// Add stores a message that is to be sent at m.DueAt: when it returns without error, JetStream
// has acknowledged it. An empty ID and AcceptedAt are filled
// in; the dedupeKey works as that of Log.Append,
// whose errors these are too.
func (s *Schedule) Add(ctx context.Context, m *relay.Message, dedupeKey string) (Receipt, error) {
	if err := s.log.reserve(len(m.Text)); err != nil {
		return Receipt{}, err
	}
	if m.ID == "" {
		m.ID = relay.NewID()
	}
	if m.AcceptedAt.IsZero() {
		m.AcceptedAt = time.Now().UTC().Truncate(time.Millisecond)
	}
	duplicate := false
	if dedupeKey != "" {
		first, err := s.claimKey(ctx, dedupeKey, m)
		if err != nil {
			return Receipt{}, err
		}
		if duplicate = first != m.ID; duplicate {
			if known, err := s.known(ctx, first); err != nil || known {
				return Receipt{ID: first, Duplicate: known}, err
			}
			// A crash came between the key's record and the message's: this is the repeat
			// that stores it.
			m.ID = first
		}
	}
	data, err := json.Marshal(Scheduled{Message: *m})
	if err != nil {
		return Receipt{}, fmt.Errorf("encoding message %s: %w", m.ID, err)
	}
	if most := s.log.sizeMost(); len(data) > most {
		return Receipt{}, fmt.Errorf("%w: %d bytes stored, and %d are possible", ErrMessageTooLarge, len(data), most)
	}
	if _, err := s.kv.Put(ctx, dueKey(m.ID, m.DueAt), data); err != nil {
		return Receipt{}, storeError(err)
	}
	if err := flushed(s.flush); err != nil {
		return Receipt{}, err
	}
	s.set(m.ID, m.DueAt)
	return Receipt{ID: m.ID, Duplicate: duplicate}, nil
}

// claimKey returns the message that first came with a dedupe key; m's when there was none.
func (s *Schedule) claimKey(ctx context.Context, dedupeKey string, m *relay.Message) (relay.ID, error) {
	sum := sha256.Sum256([]byte(dedupeKey))
	key := keyPrefix + hex.EncodeToString(sum[:16])
	_, err := s.kv.Create(ctx, key, []byte(m.ID), jetstream.KeyTTL(s.log.o.IdempotencyWindow))
	if err == nil {
		return m.ID, nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return "", storeError(err)
	}
	e, err := s.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return m.ID, nil // it has expired this moment
	}
	if err != nil {
		return "", storeError(err)
	}
	return relay.ParseID(string(e.Value()))
}

// known reports whether a message waits or has waited.
func (s *Schedule) known(ctx context.Context, id relay.ID) (bool, error) {
	if _, waits := s.dueAt(id); waits {
		return true, nil
	}
	_, err := outcomeOf(ctx, s.kv, id)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Get returns a message that waits; ErrNotFound when it does not, or no longer.
func (s *Schedule) Get(ctx context.Context, id relay.ID) (Scheduled, error) {
	m, _, err := s.load(ctx, id)
	return m, err
}

func (s *Schedule) load(ctx context.Context, id relay.ID) (m Scheduled, rev uint64, err error) {
	at, ok := s.dueAt(id)
	if !ok {
		return m, 0, fmt.Errorf("scheduled message %s: %w", id, ErrNotFound)
	}
	return waiting(ctx, s.kv, dueKey(id, at))
}

// waiting reads the message under a due key.
func waiting(ctx context.Context, kv jetstream.KeyValue, key string) (m Scheduled, rev uint64, err error) {
	e, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return m, 0, fmt.Errorf("scheduled message %s: %w", key, ErrNotFound)
	}
	if err == nil {
		err = json.Unmarshal(e.Value(), &m)
	}
	if err != nil {
		return m, 0, fmt.Errorf("reading scheduled message %s: %w", key, err)
	}
	return m, e.Revision(), nil
}

// outcomeOf reads what became of a message; ErrNotFound when it waits or never did.
func outcomeOf(ctx context.Context, kv jetstream.KeyValue, id relay.ID) (d done, err error) {
	e, err := kv.Get(ctx, donePrefix+string(id))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return d, fmt.Errorf("scheduled message %s: %w", id, ErrNotFound)
	}
	if err == nil {
		err = json.Unmarshal(e.Value(), &d)
	}
	if err != nil {
		return d, fmt.Errorf("looking up what became of message %s: %w", id, err)
	}
	return d, nil
}

// ScheduledFilter selects messages that wait; zero fields match all.
type ScheduledFilter struct {
	ChannelID int64
	Channels  []int64 // any of these; empty means all
	Limit     int     // default 50
	Cursor    string  // ScheduledPage.Next of the page before
}

// ScheduledPage is a page of messages that wait, the next to be sent first.
type ScheduledPage struct {
	Items []Scheduled
	Next  string // cursor of the next page; empty on the last
}

// List pages through the messages that wait.
func (s *Schedule) List(ctx context.Context, f ScheduledFilter) (ScheduledPage, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	s.mu.Lock()
	keys := make([]string, 0, len(s.due))
	for id, at := range s.due {
		keys = append(keys, dueKey(id, at))
	}
	s.mu.Unlock()
	slices.Sort(keys)
	var page ScheduledPage
	last := ""
	for _, key := range keys {
		if key <= f.Cursor {
			continue
		}
		id, _, err := parseDueKey(key)
		if err != nil {
			return page, err
		}
		m, err := s.Get(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case err != nil:
			return ScheduledPage{}, err
		case f.ChannelID != 0 && f.ChannelID != m.Message.ChannelID,
			len(f.Channels) > 0 && !slices.Contains(f.Channels, m.Message.ChannelID):
			continue
		}
		if len(page.Items) == f.Limit {
			page.Next = last
			break
		}
		last = key
		page.Items = append(page.Items, m)
	}
	return page, nil
}

// Cancel takes a message out of the schedule for good. What it was and who cancelled it stays
// readable for as long as history. Errors: ErrNotFound, and ErrConflict
// when its time has come already.
func (s *Schedule) Cancel(ctx context.Context, id relay.ID, by string) error {
	m, rev, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	if m.Sending {
		return fmt.Errorf("message %s is being sent: %w", id, ErrConflict)
	}
	// The removal decides between this and the sending; the record of it comes after, as it
	// must not tell of what did not happen.
	err = s.kv.Delete(ctx, dueKey(id, m.Message.DueAt), jetstream.LastRevision(rev))
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return fmt.Errorf("message %s is being sent: %w", id, ErrConflict)
	}
	if err != nil {
		return fmt.Errorf("cancelling message %s: %w", id, storeError(err))
	}
	s.unset(id)
	if err := s.record(ctx, id, done{Message: &m.Message, CancelledBy: by, CancelledAt: time.Now().UTC()}); err != nil {
		return err
	}
	return flushed(s.flush)
}

// record keeps what became of a message.
func (s *Schedule) record(ctx context.Context, id relay.ID, d done) error {
	data, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("recording what became of message %s: %w", id, err)
	}
	_, err = s.kv.Create(ctx, donePrefix+string(id), data, jetstream.KeyTTL(s.log.o.History))
	if err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("recording what became of message %s: %w", id, storeError(err))
	}
	return nil
}

// dueKey is sorted as the times are: Unix milliseconds have 13 digits until the year 2286.
func dueKey(id relay.ID, at time.Time) string {
	return fmt.Sprintf("%s%013d.%s", duePrefix, at.UnixMilli(), id)
}

func parseDueKey(key string) (relay.ID, time.Time, error) {
	ms, id, _ := strings.Cut(strings.TrimPrefix(key, duePrefix), ".")
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("bucket %s holds the key %q, which is none of ours", scheduleBucket, clip(key))
	}
	return relay.ID(id), time.UnixMilli(n).UTC(), nil
}

func (s *Schedule) dueAt(id relay.ID) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.due[id]
	return at, ok
}

func (s *Schedule) set(id relay.ID, at time.Time) {
	s.mu.Lock()
	s.due[id] = at
	s.mu.Unlock()
	s.signal()
}

func (s *Schedule) unset(id relay.ID) {
	s.mu.Lock()
	delete(s.due, id)
	s.mu.Unlock()
}

func (s *Schedule) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// dueBy lists the messages that are due at a time, the earliest first, and when the next one
// after them is.
func (s *Schedule) dueBy(now time.Time) (list []relay.ID, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range s.due {
		switch {
		case !at.After(now):
			list = append(list, id)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	slices.SortFunc(list, func(a, b relay.ID) int {
		return cmp.Or(s.due[a].Compare(s.due[b]), cmp.Compare(a, b))
	})
	return list, next
}

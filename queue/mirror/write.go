package mirror

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Create stores a new record; ErrExists when the key is taken. When it returns without an
// error, Get on this mirror finds the record. After any error but ErrExists, as after a
// timeout, the record may be stored nevertheless.
func (m *Mirror[V]) Create(ctx context.Context, key string, v V) error {
	data, err := m.o.Encode(v)
	if err != nil {
		return fmt.Errorf("encoding %s for the bucket %s: %w", key, m.o.Bucket, err)
	}
	rev, err := m.kv.Create(ctx, key, data)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return ErrExists
	}
	if err != nil {
		return fmt.Errorf("storing %s in the bucket %s: %w", key, m.o.Bucket, err)
	}
	m.apply(key, &slot[V]{value: v, rev: rev}, false)
	return m.flushed()
}

// changeTries bounds the rounds of compare-and-set. Each lost round means that somebody
// else's write went through.
const changeTries = 100

// Modify stores what change makes of the present value, by compare-and-set: change is
// called again with the newer value when another writer came first, so it must have no
// effects of its own. An error of change ends Modify and is returned as it is. When Modify
// returns without an error, Get on this mirror finds the new value or a later one.
func (m *Mirror[V]) Modify(ctx context.Context, key string, change func(V) (V, error)) (V, error) {
	var zero V
	s, err := m.latest(ctx, key)
	if err != nil {
		return zero, err
	}
	for try := range changeTries {
		v, err := change(s.value)
		if err != nil {
			return zero, err
		}
		data, err := m.o.Encode(v)
		if err != nil {
			return zero, fmt.Errorf("encoding %s for the bucket %s: %w", key, m.o.Bucket, err)
		}
		rev, err := m.kv.Update(ctx, key, data, s.rev)
		if err == nil {
			m.apply(key, &slot[V]{value: v, rev: rev}, false)
			return v, m.flushed()
		}
		if !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			return zero, fmt.Errorf("storing %s in the bucket %s: %w", key, m.o.Bucket, err)
		}
		if s, err = m.reload(ctx, key, try); err != nil {
			return zero, err
		}
	}
	return zero, fmt.Errorf("%w (bucket %s, key %s)", ErrConflict, m.o.Bucket, key)
}

// Delete removes a record; ErrNotFound when there is none. Its key can be used again.
func (m *Mirror[V]) Delete(ctx context.Context, key string) error {
	s, err := m.latest(ctx, key)
	for try := range changeTries {
		if err != nil && !errors.Is(err, ErrUnreadable) {
			return err
		}
		err = m.kv.Delete(ctx, key, jetstream.LastRevision(s.rev))
		if err == nil {
			m.forget(key, s.rev)
			return m.flushed()
		}
		if !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			return fmt.Errorf("deleting %s in the bucket %s: %w", key, m.o.Bucket, err)
		}
		s, err = m.reload(ctx, key, try)
	}
	return fmt.Errorf("%w (bucket %s, key %s)", ErrConflict, m.o.Bucket, key)
}

// flushed makes a write final.
func (m *Mirror[V]) flushed() error {
	if m.flush == nil {
		return nil
	}
	if err := m.flush(); err != nil {
		return fmt.Errorf("the bucket %s: %w", m.o.Bucket, err)
	}
	return nil
}

// forget marks the record at rev as deleted. The server does not tell the revision of the
// deletion, only that rev was the last one before it.
func (m *Mirror[V]) forget(key string, rev uint64) {
	m.mu.Lock()
	s, known := m.slots[key]
	current := known && !s.gone && s.rev == rev
	if current {
		m.slots[key] = &slot[V]{rev: rev, gone: true}
		m.bury(key)
	}
	m.mu.Unlock()
	if current {
		m.notify(key)
	}
}

// Refresh reads the whole bucket once more. It is for the rare question whether something
// exists that cannot be asked by key.
func (m *Mirror[V]) Refresh(ctx context.Context) error {
	w, err := m.kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("reading the bucket %s: %w", m.o.Bucket, err)
	}
	complete := false
	for e := range w.Updates() {
		if e == nil {
			complete = true
			// The channel closes once the watcher has stopped; what came in between
			// still counts.
			if err := w.Stop(); err != nil {
				return fmt.Errorf("reading the bucket %s: %w", m.o.Bucket, err)
			}
			continue
		}
		m.apply(e.Key(), m.decode(e), false)
	}
	if !complete {
		return fmt.Errorf("reading the bucket %s: %w", m.o.Bucket, context.Cause(ctx))
	}
	return nil
}

// latest is what memory has under key, else the bucket.
func (m *Mirror[V]) latest(ctx context.Context, key string) (*slot[V], error) {
	s, err := m.slot(key)
	if !errors.Is(err, ErrNotFound) {
		return s, err
	}
	if err := m.load(ctx, key); err != nil {
		return s, err
	}
	return m.slot(key)
}

// reload is latest after a lost round: what memory has was too old.
func (m *Mirror[V]) reload(ctx context.Context, key string, try int) (*slot[V], error) {
	// From the second round on a random wait lets several writers pass one another, and
	// gives a replica that answers reads time to catch up.
	if try > 0 && !pause(ctx, rand.N(10*time.Millisecond)) {
		return nil, ctx.Err()
	}
	if err := m.load(ctx, key); err != nil {
		return nil, err
	}
	return m.slot(key)
}

// load brings memory up to what the bucket says of key.
func (m *Mirror[V]) load(ctx context.Context, key string) error {
	e, err := m.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrInvalidKey) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s in the bucket %s: %w", key, m.o.Bucket, err)
	}
	m.apply(key, m.decode(e), false)
	return nil
}

package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// follow applies what the watcher delivers until life ends. The watcher heals itself over
// a reconnect: it notices missing heartbeats and continues after the last revision it saw.
// Should it end nevertheless, another one starts with the latest record of every key.
func (m *Mirror[V]) follow(life context.Context, w jetstream.KeyWatcher, loaded func()) {
	defer close(m.done)
	defer m.stop()
	for {
		for e := range w.Updates() {
			if e == nil {
				loaded()
				continue
			}
			m.apply(e.Key(), m.decode(e), true)
		}
		if life.Err() != nil {
			return
		}
		m.o.Log.Warn().Str("bucket", m.o.Bucket).Msg("watch of a bucket ended, starting another")
		if w = m.watchAgain(life); w == nil {
			return
		}
	}
}

func (m *Mirror[V]) watchAgain(life context.Context) jetstream.KeyWatcher {
	wait := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(100*time.Millisecond),
		backoff.WithMaxInterval(5*time.Second),
		backoff.WithMaxElapsedTime(0),
	)
	for {
		w, err := m.kv.WatchAll(life)
		if err == nil {
			return w
		}
		if errors.Is(err, nats.ErrConnectionClosed) {
			return nil
		}
		if !pause(life, wait.NextBackOff()) {
			return nil
		}
	}
}

// decode reads one entry of the bucket.
func (m *Mirror[V]) decode(e jetstream.KeyValueEntry) *slot[V] {
	s := &slot[V]{rev: e.Revision()}
	if op := e.Operation(); op == jetstream.KeyValueDelete || op == jetstream.KeyValuePurge {
		s.gone = true
		return s
	}
	v, err := m.o.Decode(e.Key(), e.Value())
	if err != nil {
		s.err = fmt.Errorf("%w (bucket %s, key %s): %w", ErrUnreadable, m.o.Bucket, e.Key(), err)
		m.o.Log.Error().Err(s.err).Msg("a stored record cannot be read; it is left as it is")
		return s
	}
	s.value = v
	return s
}

// apply brings memory forward to s; it never goes back. Apart from the watcher, values
// come from our own writes and from single reads, which a lagging replica may answer: what
// is no newer than memory, or than what the watcher has passed, is old news.
func (m *Mirror[V]) apply(key string, s *slot[V], watched bool) {
	m.mu.Lock()
	old, known := m.slots[key]
	stale := known && old.rev >= s.rev || !known && !watched && s.rev <= m.seen
	if watched {
		m.seen = max(m.seen, s.rev)
	}
	if !stale {
		m.slots[key] = s
	}
	m.bury(key)
	m.mu.Unlock()
	if !stale && !(s.gone && (!known || old.gone)) {
		m.notify(key)
	}
}

// bury forgets a deleted key once the watcher has passed it. The lock is held.
func (m *Mirror[V]) bury(key string) {
	if s, ok := m.slots[key]; ok && s.gone && s.rev <= m.seen {
		delete(m.slots, key)
	}
}

func (m *Mirror[V]) notify(key string) {
	m.subMu.Lock()
	fs := slices.Collect(maps.Values(m.subs))
	m.subMu.Unlock()
	for _, f := range fs {
		f(key)
	}
}

// pause waits, and reports false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

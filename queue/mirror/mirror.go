// Package mirror keeps a JetStream KV bucket in memory. Reads cost a map look-up; writes
// are compare-and-set on the bucket, so that several instances can share one; every
// instance watches the bucket and follows the others within milliseconds.
//
// It suits registries: thousands of small records, read with every message, seldom changed.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

// Errors of every Mirror.
var (
	ErrNotFound = errors.New("no such record")
	ErrExists   = errors.New("the record exists already")

	// ErrConflict means that others changed the record again and again in between; the
	// same call may succeed later.
	ErrConflict = errors.New("the record keeps changing")

	// ErrUnreadable means that the record is there but Decode refused it, as when a newer
	// version wrote it. It is never taken for a missing one.
	ErrUnreadable = errors.New("the stored record cannot be read")
)

// Options describe a bucket and its records of type V.
type Options[V any] struct {
	Bucket      string // letters, digits, hyphens, underscores
	Description string // for people who look at the bucket with NATS tools
	Replicas    int    // copies in a cluster; 0 means 1

	// TTL is how long a record lives after it was last written; 0, the default, keeps it. A
	// record that ages out leaves memory as a deleted one does.
	TTL time.Duration

	// Encode and Decode are the stored form. A decoded value is shared by all readers and
	// must not be changed.
	Encode func(V) ([]byte, error)
	Decode func(key string, data []byte) (V, error)

	// Flush makes what the bucket's stream has acknowledged survive a power cut, before a
	// write counts; nil where an acknowledgement is final, or that much is not asked for.
	Flush func(stream string) func() error

	Log zerolog.Logger
}

// markerTTL is how long the store keeps the marker of a record that aged out: long enough for
// a watcher that was cut off to come back; one that does not reads the bucket anew.
const markerTTL = 10 * time.Minute

// missesPerSecond bounds how often Find asks the bucket for what is not in memory, so that
// strangers who try names at random cannot load the store. Beyond it memory alone answers.
const missesPerSecond = 100

// Mirror is a bucket and its copy in memory.
type Mirror[V any] struct {
	o      Options[V]
	kv     jetstream.KeyValue
	flush  func() error // nil for none
	misses *rate.Limiter
	stop   context.CancelFunc
	done   chan struct{} // closed when the watcher has ended

	mu    sync.RWMutex
	slots map[string]*slot[V]
	seen  uint64 // the watcher has delivered everything up to this revision

	subMu   sync.Mutex
	subs    map[uint64]func(key string)
	nextSub uint64
}

// slot is what memory knows of a key at one revision. A key that we deleted keeps a slot
// with gone set until the watcher has passed it; then it has none.
type slot[V any] struct {
	value V
	err   error // ErrUnreadable and why
	rev   uint64
	gone  bool
}

// Open makes the bucket when it is missing, reads all of it and starts to watch it. The
// context bounds Open only; the mirror lives until Close.
func Open[V any](ctx context.Context, js jetstream.JetStream, o Options[V]) (*Mirror[V], error) {
	config := jetstream.KeyValueConfig{
		Bucket:      o.Bucket,
		Description: o.Description,
		Replicas:    max(o.Replicas, 1),
		Storage:     jetstream.FileStorage,
		TTL:         o.TTL,
	}
	if o.TTL > 0 {
		// The marker tells the watchers that a record has aged out.
		config.LimitMarkerTTL = markerTTL
	}
	kv, err := js.CreateOrUpdateKeyValue(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening the bucket %s: %w", o.Bucket, err)
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	m := &Mirror[V]{
		o:      o,
		kv:     kv,
		misses: rate.NewLimiter(missesPerSecond, missesPerSecond),
		stop:   stop,
		done:   make(chan struct{}),
		slots:  make(map[string]*slot[V]),
		subs:   make(map[uint64]func(string)),
	}
	if o.Flush != nil {
		m.flush = o.Flush("KV_" + o.Bucket)
	}
	w, err := kv.WatchAll(life)
	if err != nil {
		stop()
		return nil, fmt.Errorf("watching the bucket %s: %w", o.Bucket, err)
	}
	loaded := make(chan struct{})
	go m.follow(life, w, sync.OnceFunc(func() { close(loaded) }))
	select {
	case <-loaded:
		return m, nil
	case <-m.done:
		return nil, fmt.Errorf("reading the bucket %s: the connection closed", o.Bucket)
	case <-ctx.Done():
		m.Close()
		return nil, fmt.Errorf("reading the bucket %s: %w", o.Bucket, ctx.Err())
	}
}

// Close ends the watch. The bucket stays.
func (m *Mirror[V]) Close() {
	m.stop()
	<-m.done
}

// Get is what memory holds under key: ErrNotFound, ErrUnreadable or the value.
func (m *Mirror[V]) Get(key string) (V, error) {
	s, err := m.slot(key)
	return s.value, err
}

func (m *Mirror[V]) slot(key string) (*slot[V], error) {
	m.mu.RLock()
	s, ok := m.slots[key]
	m.mu.RUnlock()
	if !ok || s.gone {
		return &slot[V]{}, ErrNotFound
	}
	return s, s.err
}

// Find is Get that asks the bucket when memory has nothing: another instance may have
// created the record a moment ago.
func (m *Mirror[V]) Find(ctx context.Context, key string) (V, error) {
	v, err := m.Get(key)
	if !errors.Is(err, ErrNotFound) || !m.misses.Allow() {
		return v, err
	}
	if err := m.load(ctx, key); err != nil {
		return v, err
	}
	return m.Get(key)
}

// All yields every readable record, in no order, as of now.
func (m *Mirror[V]) All() iter.Seq2[string, V] {
	type record struct {
		key string
		*slot[V]
	}
	m.mu.RLock()
	records := make([]record, 0, len(m.slots))
	for key, s := range m.slots {
		if !s.gone && s.err == nil {
			records = append(records, record{key, s})
		}
	}
	m.mu.RUnlock()
	return func(yield func(string, V) bool) {
		for _, r := range records {
			if !yield(r.key, r.value) {
				return
			}
		}
	}
}

// Len is the number of records, unreadable ones included.
func (m *Mirror[V]) Len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n := 0
	for _, s := range m.slots {
		if !s.gone {
			n++
		}
	}
	return n
}

// Subscribe has f called after each change of a record, whoever made it, with memory
// already up to date. Calls may come from several goroutines at once and must return
// quickly. After cancel returns no new call begins.
func (m *Mirror[V]) Subscribe(f func(key string)) (cancel func()) {
	m.subMu.Lock()
	defer m.subMu.Unlock()
	n := m.nextSub
	m.nextSub++
	m.subs[n] = f
	return func() {
		m.subMu.Lock()
		defer m.subMu.Unlock()
		delete(m.subs, n)
	}
}

package endpoints

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"omnirelay/queue/mirror"
	"omnirelay/relay"
)

// Errors of the registry.
var (
	ErrNotFound = errors.New("no such channel")
	ErrExists   = errors.New("the channel id is taken")

	// ErrConflict means that others changed the channel again and again in between; the
	// same call may succeed later.
	ErrConflict = errors.New("the channel is being changed by others")
)

// firstID is where ids begin that nobody asked for: above the helpdesk's own.
const firstID = 1001

// Bucket is the name of the KV bucket that holds the channels.
const Bucket = "RELAY_CHANNELS"

// Options of a Registry.
type Options struct {
	Replicas int // copies of the bucket in a cluster; 0 means 1
	// Defaults are the limits of channels that set none of their own; nil means
	// relay.DefaultPolicy.
	Defaults *relay.Policy
	// Flush makes what a stream has acknowledged survive a power cut; see mirror.Options.
	Flush func(stream string) func() error
	Log   zerolog.Logger
}

// Registry holds all channels in memory, in step with the bucket and so with the other
// instances. What one call of a Registry has stored, the next one sees.
type Registry struct {
	records  *mirror.Mirror[record]
	defaults *relay.Policy

	mu   sync.Mutex
	next int64 // all ids from firstID up to here were taken or tried
}

// Open makes the bucket when it is missing and reads all channels. The context bounds Open
// only; the registry lives until Close.
func Open(ctx context.Context, js jetstream.JetStream, o Options) (*Registry, error) {
	records, err := mirror.Open(ctx, js, mirror.Options[record]{
		Bucket:      Bucket,
		Description: "omnirelay: the custom channels",
		Replicas:    o.Replicas,
		Encode:      encodeRecord,
		Decode: func(key string, data []byte) (record, error) {
			rec, err := decodeRecord(key, data)
			rec.channel.defaults = o.Defaults
			return rec, err
		},
		Log: o.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("opening the channel registry: %w", err)
	}
	return &Registry{records: records, defaults: o.Defaults, next: firstID}, nil
}

// Close ends following the bucket; what is stored stays.
func (r *Registry) Close() { r.records.Close() }

// Get returns a channel from memory, and asks the bucket when it is not there, unless too
// many have asked for unknown ones this second. ErrNotFound stands for a channel that is
// deleted, for which Tombstone has the details, and for one that nobody has seen; any other
// error says nothing about the channel.
func (r *Registry) Get(ctx context.Context, id int64) (Channel, error) {
	rec, err := r.records.Find(ctx, keyOf(id))
	if err != nil {
		return Channel{}, explain(id, err)
	}
	return rec.live()
}

// Tombstone tells who deleted a channel and when; false for one that lives or never did.
func (r *Registry) Tombstone(id int64) (Tombstone, bool) {
	rec, err := r.records.Get(keyOf(id))
	if err != nil || rec.tombstone == nil {
		return Tombstone{}, false
	}
	return *rec.tombstone, true
}

// List returns the channels by id, at most limit of them after skipping start, and how many
// there are in all.
func (r *Registry) List(start, limit int) (page []Channel, total int) {
	var ids []int64
	for _, rec := range r.records.All() {
		if rec.tombstone == nil {
			ids = append(ids, rec.channel.ID)
		}
	}
	slices.Sort(ids)
	total = len(ids)
	from := min(max(start, 0), total)
	for _, id := range ids[from : from+min(max(limit, 0), total-from)] {
		// One that was deleted this very moment is left out.
		if rec, err := r.records.Get(keyOf(id)); err == nil && rec.tombstone == nil {
			page = append(page, rec.channel)
		}
	}
	return page, total
}

// Create stores a new channel. Id 0 takes the next free one from 1001 on; any other must
// never have been used (ErrExists), also by a channel that is deleted. Bad input gives
// Problems.
func (r *Registry) Create(ctx context.Context, id int64, p Patch) (Channel, error) {
	now := present()
	c, problems := p.apply(Channel{ID: id, Icon: DefaultIcon, CreatedAt: now, defaults: r.defaults}, now)
	if id != 0 {
		checkNewID(id, &problems)
	}
	if err := problems.Err(); err != nil {
		return Channel{}, err
	}
	token, err := newHookToken()
	if err != nil {
		return Channel{}, fmt.Errorf("making a hook token: %w", err)
	}
	c.HookToken = token
	if id != 0 {
		if err := r.records.Create(ctx, keyOf(id), record{channel: c}); err != nil {
			return Channel{}, r.explainTaken(ctx, id, err)
		}
		return c, nil
	}
	for {
		c.ID = r.freeID()
		err := r.records.Create(ctx, keyOf(c.ID), record{channel: c})
		if err == nil {
			return c, nil
		}
		// Another instance may have taken the id; then the next one is tried.
		if !errors.Is(err, mirror.ErrExists) {
			return Channel{}, explain(c.ID, err)
		}
	}
}

// Update changes the fields that p sets. Changes by several callers at once all come
// through, unless they set the same field. Bad input gives Problems and changes nothing.
func (r *Registry) Update(ctx context.Context, id int64, p Patch) (Channel, error) {
	now := present()
	rec, err := r.records.Modify(ctx, keyOf(id), func(old record) (record, error) {
		c, err := old.live()
		if err != nil {
			return record{}, err
		}
		c, problems := p.apply(c, now)
		return record{channel: c}, problems.Err()
	})
	if err != nil {
		return Channel{}, explain(id, err)
	}
	return rec.channel, nil
}

// Delete leaves a tombstone in the channel's place that names who did it.
func (r *Registry) Delete(ctx context.Context, id int64, by string) error {
	now := present()
	_, err := r.records.Modify(ctx, keyOf(id), func(old record) (record, error) {
		c, err := old.live()
		if err != nil {
			return record{}, err
		}
		return record{tombstone: &Tombstone{ID: id, Name: c.Name, DeletedBy: by, DeletedAt: now}}, nil
	})
	if err != nil {
		return explain(id, err)
	}
	return nil
}

// Subscribe has f called with the id of each channel that is created, changed or deleted,
// by whichever instance, when Get already knows. Calls may come from several goroutines at
// once and must return quickly. After cancel returns no new call begins.
func (r *Registry) Subscribe(f func(id int64)) (cancel func()) {
	return r.records.Subscribe(func(key string) {
		if id, err := ParseID(key); err == nil {
			f(id)
		}
	})
}

// freeID is the next id that this instance has neither seen nor tried.
func (r *Registry) freeID() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		id := r.next
		r.next++
		if _, err := r.records.Get(keyOf(id)); errors.Is(err, mirror.ErrNotFound) {
			return id
		}
	}
}

func (r *Registry) explainTaken(ctx context.Context, id int64, err error) error {
	if !errors.Is(err, mirror.ErrExists) {
		return explain(id, err)
	}
	if other, err := r.records.Find(ctx, keyOf(id)); err == nil && other.tombstone != nil {
		t := other.tombstone
		return fmt.Errorf("%w: %d was the id of a channel that %s deleted on %s, and no id is used twice",
			ErrExists, id, t.DeletedBy, t.DeletedAt.Format(time.DateOnly))
	}
	return fmt.Errorf("%w: %d is the id of another channel", ErrExists, id)
}

// explain puts an error of the bucket in the registry's terms.
func explain(id int64, err error) error {
	switch {
	case errors.Is(err, mirror.ErrNotFound):
		return fmt.Errorf("%w: %d", ErrNotFound, id)
	case errors.Is(err, mirror.ErrConflict):
		return fmt.Errorf("%w: %d", ErrConflict, id)
	case errors.Is(err, ErrNotFound), errors.As(err, new(Problems)):
		return err
	}
	return fmt.Errorf("channel %d: %w", id, err)
}

// live is the record's channel, unless it is deleted.
func (rec record) live() (Channel, error) {
	if t := rec.tombstone; t != nil {
		return Channel{}, fmt.Errorf("%w: %d was deleted by %s on %s", ErrNotFound, t.ID, t.DeletedBy, t.DeletedAt.Format(time.DateOnly))
	}
	return rec.channel, nil
}

func keyOf(id int64) string { return strconv.FormatInt(id, 10) }

func present() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

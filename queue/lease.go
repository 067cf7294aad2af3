package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// Leases divide the shards among the instances that share a store. Each instance writes a
// heartbeat, and each shard has a record that names its owner; both are renewed every third
// of the lease's duration and by compare-and-set.
//
// No clocks are compared. An instance takes a record for abandoned when it has not changed
// for a whole duration by its own monotonic clock; an owner counts its lease from before it
// asked for it, so it has always ended for the owner before anybody else may have it. A view
// that is out of date does no harm: taking over names the revision that was seen.
type Leases struct {
	log      *Log
	kv       jetstream.KeyValue
	stream   jetstream.Stream
	instance string
	ttl      time.Duration
	stop     context.CancelFunc
	done     chan struct{}

	mu     sync.Mutex
	seen   map[string]sighting // by key
	lost   map[string]bool     // keys of own leases that ended without a release
	looked time.Time           // when the bucket was last read
}

// sighting is a record of the bucket and since when it has not changed.
type sighting struct {
	revision uint64
	holder   string // empty: nobody
	at       time.Time
}

// claim is the stored form of a lease.
type claim struct {
	Holder string `json:"holder"`
}

const (
	leaseBucket = "RELAY_LEASES"
	// leaseTTL is how long a crashed instance keeps its shards, about.
	leaseTTL       = 6 * time.Second
	instancePrefix = "instance."
	// goneAfter is how many durations without a heartbeat end an instance's record.
	goneAfter = 10
)

// ErrLeased means that another instance holds the lease.
var ErrLeased = errors.New("another instance owns the shard")

// OpenLeases joins the instances that share the store. What follows label in this instance's
// name is random, so that no two starts of the same program share one; label may hold letters,
// digits, hyphens and underscores.
func (l *Log) OpenLeases(ctx context.Context, label string) (*Leases, error) {
	kv, err := l.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:      leaseBucket,
		Description: "omnirelay: which instances are alive, and which shards they own",
		Replicas:    l.o.Replicas,
	})
	if err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", leaseBucket, err)
	}
	stream, err := l.js.Stream(ctx, "KV_"+leaseBucket)
	if err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", leaseBucket, err)
	}
	s := &Leases{
		log: l, kv: kv, stream: stream,
		instance: label + "_" + nuid.Next(), ttl: leaseTTL,
		done: make(chan struct{}), seen: map[string]sighting{}, lost: map[string]bool{},
	}
	if err := errors.Join(s.beat(ctx), s.survey(ctx)); err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go s.run(life)
	return s, nil
}

// Instance is the name under which this instance has joined.
func (s *Leases) Instance() string { return s.instance }

// TTL is how long a lease lasts without renewal.
func (s *Leases) TTL() time.Duration { return s.ttl }

// Leave ends the heartbeats: the others take this instance for gone. Leases that it still
// holds stay until they are released or run out.
func (s *Leases) Leave(ctx context.Context) error {
	s.stop()
	<-s.done
	if err := s.show(ctx, ""); err != nil { // the others clear it away after a while
		return fmt.Errorf("leaving the other instances: %w", err)
	}
	return nil
}

// Living lists the instances that have shown themselves lately, this one included, by name.
func (s *Leases) Living() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	living := []string{s.instance}
	for key, is := range s.seen {
		name, ok := strings.CutPrefix(key, instancePrefix)
		if ok && name != s.instance && is.holder != "" && s.silence(is) < s.ttl {
			living = append(living, name)
		}
	}
	slices.Sort(living)
	return living
}

// silence is for how long a record has not changed, as far as is known. What happens while
// the store cannot be read, nobody knows: an election there must not make every instance
// believe that it is alone.
func (s *Leases) silence(is sighting) time.Duration {
	if now := time.Now(); now.Sub(s.looked) < s.ttl/3 {
		return now.Sub(is.at)
	}
	return s.looked.Sub(is.at)
}

// look notes that the bucket was read at a time, and does not count as silence the time for
// which it could not be.
func (s *Leases) look(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	blind := now.Sub(s.looked)
	if s.looked.IsZero() || blind < s.ttl/2 {
		blind = 0
	}
	s.looked = now
	for key, is := range s.seen {
		// A sighting only ever gets younger: one that looked older than it is would let a
		// lease be taken from under its holder.
		if is.at = is.at.Add(blind); is.at.After(now) {
			is.at = now
		}
		s.seen[key] = is
	}
}

func (s *Leases) run(ctx context.Context) {
	defer close(s.done)
	beat := time.NewTicker(s.ttl / 3)
	defer beat.Stop()
	look := time.NewTicker(s.ttl / 6)
	defer look.Stop()
	for {
		var err error
		select {
		case <-beat.C:
			err = s.beat(ctx)
		case <-look.C:
			err = s.survey(ctx)
		case <-ctx.Done():
			return
		}
		if err != nil && ctx.Err() == nil {
			s.log.o.Log.Warn().Err(err).Msg("this instance cannot reach the others now")
		}
	}
}

func (s *Leases) beat(ctx context.Context) error {
	if err := s.show(ctx, s.instance); err != nil {
		return fmt.Errorf("writing this instance's heartbeat: %w", err)
	}
	return nil
}

// show writes this instance's record, with its name while it takes part.
func (s *Leases) show(ctx context.Context, holder string) error {
	ctx, cancel := context.WithTimeout(ctx, s.ttl/3)
	defer cancel()
	raw, err := json.Marshal(claim{Holder: holder})
	if err != nil {
		return err
	}
	_, err = s.kv.Put(ctx, instancePrefix+s.instance, raw)
	return err
}

// survey reads the bucket and notes what has changed. It may miss a record that is renewed at
// the same moment; the next one finds that.
func (s *Leases) survey(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.ttl/3)
	defer cancel()
	err := scan(ctx, s.stream, scanRange{}, func(m jetstream.Msg, meta *jetstream.MsgMetadata) (bool, error) {
		key := strings.TrimPrefix(m.Subject(), "$KV."+leaseBucket+".")
		var c claim
		if err := json.Unmarshal(m.Data(), &c); err != nil {
			return false, fmt.Errorf("decoding the lease %s: %w", key, err)
		}
		s.saw(key, c.Holder, meta.Sequence.Stream)
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("looking for the other instances: %w", err)
	}
	s.look(time.Now())
	for key, revision := range s.cleared() {
		// If it comes back after all it writes a later revision, and that stays.
		err := s.stream.Purge(ctx, jetstream.WithPurgeSubject("$KV."+leaseBucket+"."+key), jetstream.WithPurgeSequence(revision+1))
		if err != nil {
			return fmt.Errorf("removing an instance that is gone: %w", err)
		}
	}
	return nil
}

// cleared forgets the instances that have been gone for long and returns their records, with
// their revisions.
func (s *Leases) cleared() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := map[string]uint64{}
	for key, is := range s.seen {
		name, instance := strings.CutPrefix(key, instancePrefix)
		if instance && name != s.instance && time.Since(is.at) > goneAfter*s.ttl {
			gone[key] = is.revision
			delete(s.seen, key)
		}
	}
	return gone
}

// saw notes a record; a revision that is not newer than the one seen before is no news, as
// when a replica lags behind.
func (s *Leases) saw(key, holder string, revision uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if revision > s.seen[key].revision {
		s.seen[key] = sighting{revision: revision, holder: holder, at: time.Now()}
	}
}

// Acquire takes the lease of a shard that nobody holds, or whose holder has not renewed it
// for a whole duration. It answers ErrLeased otherwise. The caller has ended all work under
// an earlier lease of its own.
func (s *Leases) Acquire(ctx context.Context, shard int) (*Lease, error) {
	key := "shard." + strconv.Itoa(shard)
	s.mu.Lock()
	is := s.seen[key]
	silence := s.silence(is)
	// What was ours is ours again when nobody has taken it meanwhile.
	back := is.holder == s.instance && s.lost[key]
	s.mu.Unlock()
	if is.holder != "" && !back && silence <= s.ttl {
		return nil, fmt.Errorf("shard %d is owned by %s: %w", shard, is.holder, ErrLeased)
	}
	lease := &Lease{leases: s, shard: shard, key: key, revision: is.revision, lost: make(chan struct{}), done: make(chan struct{})}
	if err := lease.renew(ctx); err != nil {
		return nil, err
	}
	s.setLost(key, false)
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	lease.stop = stop
	go lease.run(life)
	return lease, nil
}

func (s *Leases) setLost(key string, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if lost {
		s.lost[key] = true
	} else {
		delete(s.lost, key)
	}
}

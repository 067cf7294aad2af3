package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Lease is the right to a shard for as long as it can be renewed.
type Lease struct {
	leases   *Leases
	shard    int
	key      string
	revision uint64
	stop     context.CancelFunc
	lost     chan struct{}
	done     chan struct{}

	ends    atomic.Pointer[time.Time] // by the local monotonic clock
	expired atomic.Bool               // somebody has seen it at its end
}

// Shard is what the lease is for.
func (l *Lease) Shard() int { return l.shard }

// Lost is closed when the lease could not be renewed, a sixth of its duration before others
// may take it, or when another instance has it.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Valid reports whether the lease holds at this moment. A process that was stopped for a
// while learns it here first. Once it has said no, it stays with that.
func (l *Lease) Valid() bool {
	if time.Now().Before(*l.ends.Load()) && !l.expired.Load() {
		return true
	}
	l.expired.Store(true)
	return false
}

// Release gives the shard free at once. The caller has stopped working on it.
func (l *Lease) Release(ctx context.Context) error {
	l.stop()
	<-l.done
	if !l.Valid() {
		return nil // it is no longer ours to give
	}
	err := l.write(ctx, "")
	if errors.Is(err, ErrLeased) && l.adopt(ctx) {
		// A renewal was under way when it was stopped.
		err = l.write(ctx, "")
	}
	if errors.Is(err, ErrLeased) {
		return nil
	}
	return err
}

// renew counts from before it asks: the store's answer may take its time.
func (l *Lease) renew(ctx context.Context) error {
	asked := time.Now()
	if err := l.write(ctx, l.leases.instance); err != nil {
		return err
	}
	ends := asked.Add(l.leases.ttl)
	l.ends.Store(&ends)
	return nil
}

func (l *Lease) write(ctx context.Context, holder string) error {
	raw, err := json.Marshal(claim{Holder: holder})
	if err != nil {
		return fmt.Errorf("writing the lease of shard %d: %w", l.shard, err)
	}
	ctx, cancel := context.WithTimeout(ctx, l.leases.ttl/3)
	defer cancel()
	revision, err := l.leases.kv.Update(ctx, l.key, raw, l.revision)
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return fmt.Errorf("shard %d was taken first: %w", l.shard, ErrLeased)
	}
	if err != nil {
		return fmt.Errorf("writing the lease of shard %d: %w", l.shard, err)
	}
	l.revision = revision
	l.leases.saw(l.key, holder, revision)
	return nil
}

func (l *Lease) run(ctx context.Context) {
	defer close(l.done)
	ttl := l.leases.ttl
	next := time.NewTimer(ttl / 3)
	defer next.Stop()
	for {
		margin := time.NewTimer(time.Until(l.ends.Load().Add(-ttl / 6)))
		select {
		case <-ctx.Done():
			margin.Stop()
			return
		case <-margin.C:
			l.lose("it could not be renewed in time")
			return
		case <-next.C:
			margin.Stop()
		}
		if l.renewOnce(ctx) {
			return
		}
		if !l.Valid() {
			l.lose("this process was stopped for too long")
			return
		}
		next.Reset(ttl / 12)
		if time.Until(*l.ends.Load()) > ttl*5/6 {
			next.Reset(ttl / 3)
		}
	}
}

// renewOnce tries to renew, for no longer than the lease may be relied on. It reports whether
// the lease is over.
func (l *Lease) renewOnce(ctx context.Context) (over bool) {
	ctx, cancel := context.WithDeadline(ctx, l.ends.Load().Add(-l.leases.ttl/6))
	defer cancel()
	err := l.renew(ctx)
	switch {
	case err == nil:
		return false
	case errors.Is(err, ErrLeased) && !l.adopt(ctx):
		l.lose("another instance took it")
		return true
	}
	l.leases.log.o.Log.Debug().Err(err).Int("shard", l.shard).Msg("renewing a lease failed; trying again")
	return false
}

// adopt finds out whether a revision that is not ours to know was our own renewal, whose
// acknowledgement was lost.
func (l *Lease) adopt(ctx context.Context) bool {
	raw, err := l.leases.log.leaderMsg(ctx, "KV_"+leaseBucket, msgGetRequest{LastBySubj: "$KV." + leaseBucket + "." + l.key})
	if err != nil {
		return true // cannot tell yet; the lease's end decides
	}
	var c claim
	if err := json.Unmarshal(raw.Data, &c); err != nil || c.Holder != l.leases.instance {
		return false
	}
	l.revision = raw.Sequence
	return true
}

func (l *Lease) lose(why string) {
	l.leases.log.o.Log.Warn().Int("shard", l.shard).Str("why", why).Msg("the lease of a shard is lost")
	l.leases.setLost(l.key, true)
	close(l.lost)
}

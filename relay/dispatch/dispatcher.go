package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"omnirelay/relay"
)

// Dispatcher runs the owners of the shards that belong to this process.
type Dispatcher struct {
	o     Options
	grace time.Duration

	mu     sync.Mutex
	owners map[int]*running
	late   map[int]<-chan struct{} // by shard: closed when the last owner here has recorded what it could
	cancel []func()
}

// running is one owner at work.
type running struct {
	owner *Owner
	stop  context.CancelFunc
	done  chan struct{}
	err   error // of Run, once done is closed
}

// New makes a Dispatcher that owns nothing yet. grace is how long attempts under way may
// take to end when an owner stops.
func New(o Options, grace time.Duration) *Dispatcher {
	o = o.withDefaults()
	d := &Dispatcher{o: o, grace: grace, owners: map[int]*running{}, late: map[int]<-chan struct{}{}}
	d.cancel = append(d.cancel,
		o.Replays.Subscribe(func(name relay.Destination) { d.to(name, (*Owner).Replay) }),
		o.Holds.Subscribe(d.Refresh))
	return d
}

// Acquire recovers a shard and begins to deliver its messages. The caller makes sure that no
// other process owns it.
func (d *Dispatcher) Acquire(ctx context.Context, shard int) error {
	return d.acquire(ctx, shard, func() bool { return true })
}

// acquire is Acquire for an owner that starts no attempt while valid says no.
func (d *Dispatcher) acquire(ctx context.Context, shard int, valid func() bool) error {
	began := time.Now()
	d.mu.Lock()
	late := d.late[shard]
	d.mu.Unlock()
	if late != nil {
		select {
		case <-late:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	owner, err := Recover(ctx, shard, d.o)
	if err != nil {
		return err
	}
	owner.valid = valid
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{owner: owner, stop: stop, done: make(chan struct{})}
	open := owner.state.OpenInAll()
	d.mu.Lock()
	if d.owners[shard] != nil {
		d.mu.Unlock()
		stop()
		return fmt.Errorf("shard %d is owned already", shard)
	}
	d.owners[shard] = r
	d.mu.Unlock()
	go func() {
		defer close(r.done)
		r.err = owner.Run(work, d.grace)
	}()
	for _, req := range d.o.Replays.List() {
		if d.o.Log.ShardOf(req.Destination) == shard {
			owner.Replay(req.Destination)
		}
	}
	owner.log.Info().Uint64("open", open).Dur("took", time.Since(began)).Msg("shard recovered")
	return nil
}

// Release stops a shard's owner gracefully and waits for it: what is under way ends, all is
// recorded and the state is saved. Nothing is sent twice because of it.
func (d *Dispatcher) Release(shard int) error {
	return d.end(shard, func(r *running) { r.stop() })
}

// Abandon stops a shard's owner at once, because its lease is lost.
func (d *Dispatcher) Abandon(shard int) error {
	return d.end(shard, func(r *running) { r.owner.Abandon() })
}

// lose is Abandon for a shard that this process may have again soon: what had ended is still
// recorded, and the next owner here waits for that.
func (d *Dispatcher) lose(shard int) error {
	return d.end(shard, func(r *running) { r.owner.lose() })
}

func (d *Dispatcher) end(shard int, how func(*running)) error {
	d.mu.Lock()
	r := d.owners[shard]
	d.mu.Unlock()
	if r == nil {
		return nil
	}
	how(r)
	<-r.done
	r.stop()
	d.mu.Lock()
	if d.owners[shard] == r {
		delete(d.owners, shard)
		d.late[shard] = r.owner.recorded
	}
	d.mu.Unlock()
	return r.err
}

// ended is closed when a shard's owner has ended, also by itself; nil without an owner.
func (d *Dispatcher) ended(shard int) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.owners[shard]; r != nil {
		return r.done
	}
	return nil
}

// Owned lists the shards that are owned here, in no order.
func (d *Dispatcher) Owned() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	var shards []int
	for s := range d.owners {
		shards = append(shards, s)
	}
	return shards
}

// Refresh has a destination's owner look at its settings again.
func (d *Dispatcher) Refresh(name relay.Destination) { d.to(name, (*Owner).Refresh) }

func (d *Dispatcher) to(name relay.Destination, f func(*Owner, relay.Destination)) {
	d.mu.Lock()
	r := d.owners[d.o.Log.ShardOf(name)]
	d.mu.Unlock()
	if r != nil {
		f(r.owner, name)
	}
}

// Close releases every shard, side by side.
func (d *Dispatcher) Close() error {
	for _, cancel := range d.cancel {
		cancel()
	}
	owned := d.Owned()
	errs := make([]error, len(owned))
	var all sync.WaitGroup
	for i, shard := range owned {
		all.Go(func() { errs[i] = d.Release(shard) })
	}
	all.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, recorded := range d.late {
		<-recorded
	}
	return errors.Join(errs...)
}

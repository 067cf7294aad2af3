package dispatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"omnirelay/queue"
)

// Cluster shares the shards with other instances: its Dispatcher owns those that fall to this
// instance and whose lease it holds.
//
// A shard that should be elsewhere is handed over: what is under way ends and is recorded, the
// state is saved, then the lease is released, so that nothing is sent twice. A crashed
// instance's lease runs out. A lease that cannot be renewed ends the work on its shard before
// that.
type Cluster struct {
	d      *Dispatcher
	leases *queue.Leases
	shards int
	log    zerolog.Logger

	mu    sync.Mutex
	terms map[int]*term
	all   sync.WaitGroup
}

// term is the time for which this instance owns a shard.
type term struct {
	handOver func() // may be called often
}

// errHandOver ends a term because the shard belongs elsewhere now.
var errHandOver = errors.New("the shard is handed over to another instance")

// NewCluster makes a Cluster that owns nothing yet.
func NewCluster(d *Dispatcher, leases *queue.Leases, log zerolog.Logger) *Cluster {
	return &Cluster{d: d, leases: leases, shards: d.o.Log.Shards(), log: log, terms: map[int]*term{}}
}

// Run takes part until ctx ends. Then it leaves: the others see it go at once and take its
// shards over one by one as they are released, which takes up to the Dispatcher's grace.
func (c *Cluster) Run(ctx context.Context) error {
	every := c.leases.TTL() / 6
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		c.balance(ctx)
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
		}
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.leases.TTL())
		err := c.leases.Leave(leaving)
		cancel()
		c.all.Wait()
		return err
	}
}

// balance begins and ends terms as the living instances ask for.
func (c *Cluster) balance(ctx context.Context) {
	living := c.leases.Living()
	c.mu.Lock()
	defer c.mu.Unlock()
	for shard := range c.shards {
		mine := queue.Rendezvous(shard, living) == c.leases.Instance()
		t := c.terms[shard]
		switch {
		case t != nil && !mine:
			t.handOver()
		case t == nil && mine && ctx.Err() == nil:
			c.begin(ctx, shard)
		}
	}
}

func (c *Cluster) begin(ctx context.Context, shard int) {
	own, cancel := context.WithCancelCause(ctx)
	c.terms[shard] = &term{handOver: func() { cancel(errHandOver) }}
	c.all.Go(func() {
		defer cancel(nil)
		err := c.serve(own, shard)
		c.mu.Lock()
		delete(c.terms, shard)
		c.mu.Unlock()
		if err != nil && !errors.Is(err, queue.ErrLeased) && own.Err() == nil {
			c.log.Warn().Err(err).Int("shard", shard).Msg("a shard cannot be owned now; trying again")
		}
	})
}

// serve owns a shard from the acquisition of its lease to its release.
func (c *Cluster) serve(ctx context.Context, shard int) error {
	lease, err := c.leases.Acquire(ctx, shard)
	if err != nil {
		return err
	}
	defer c.release(lease)
	// A recovery that takes longer than the lease lasts is not finished.
	recovery, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	recovered := make(chan struct{})
	go func() {
		select {
		case <-lease.Lost():
			cancel(ErrLeaseLost)
		case <-recovered:
		}
	}()
	err = c.d.acquire(recovery, shard, lease.Valid)
	close(recovered)
	if err != nil {
		return err
	}
	select {
	case <-lease.Lost():
		err = c.d.lose(shard)
	case <-c.d.ended(shard):
		err = c.d.Abandon(shard)
	case <-ctx.Done():
		c.log.Info().Int("shard", shard).Msg("handing a shard over")
		err = c.handOver(lease)
	}
	if errors.Is(err, ErrLeaseLost) {
		c.log.Warn().Int("shard", shard).Msg("the work on a shard was broken off")
		return nil
	}
	return err
}

// handOver releases the shard, unless its lease is lost meanwhile.
func (c *Cluster) handOver(lease *queue.Lease) error {
	released := make(chan error, 1)
	go func() { released <- c.d.Release(lease.Shard()) }()
	select {
	case err := <-released:
		return err
	case <-lease.Lost():
		return errors.Join(c.d.lose(lease.Shard()), <-released)
	}
}

func (c *Cluster) release(lease *queue.Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), c.leases.TTL())
	defer cancel()
	if err := lease.Release(ctx); err != nil {
		c.log.Warn().Err(err).Int("shard", lease.Shard()).Msg("a lease was not released; it runs out by itself")
	}
}

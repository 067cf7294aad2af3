package dispatch_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/queue/natsd"
	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay"
	"omnirelay/relay/dispatch"
)

// rig is a relay without HTTP: the real logs on a real JetStream, and a receiver that is a
// function. It runs inside a synctest bubble, so days pass in milliseconds.
type rig struct {
	t       *testing.T
	dir     string
	conn    *natsd.Conn
	log     *queue.Log
	holds   *queue.Holds
	replays *queue.Replays
	d       *dispatch.Dispatcher
	options func(*dispatch.Options)
	shards  int
	logs    queue.Options
	catalog *catalog
	inbox   *receiver
}

type catalog struct {
	mu       sync.Mutex
	policies map[relay.Destination]relay.Policy
	deleted  map[relay.Destination]bool
}

func (c *catalog) Policy(d relay.Destination) (relay.Policy, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deleted[d] {
		return relay.Policy{}, false
	}
	if p, ok := c.policies[d]; ok {
		return p, true
	}
	return relay.DefaultPolicy(), true
}

func (c *catalog) set(d relay.Destination, f func(*relay.Policy)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := relay.DefaultPolicy()
	f(&p)
	c.policies[d] = p
}

func (c *catalog) delete(d relay.Destination) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deleted[d] = true
}

// receiver answers attempts by a rule and remembers what it answered with success.
type receiver struct {
	mu       sync.Mutex
	answer   func(e *relay.Entry, try int) relay.Result
	tries    map[relay.ID]int
	attempts []attempt
	got      []relay.Entry
	sights   []sight
	sees     bool // attempts that are cut off have reached it nevertheless
	inflight map[relay.Destination]int
	peak     map[relay.Destination]int
}

type attempt struct {
	id relay.ID
	at time.Time
}

// sight is a message that the receiver has got.
type sight struct {
	id          relay.ID
	began, over time.Time
}

func ok(*relay.Entry, int) relay.Result { return relay.Result{Reason: relay.ReasonOK, Status: 200} }

func failing(*relay.Entry, int) relay.Result {
	return relay.Result{Reason: relay.ReasonStatus5xx, Status: 503}
}

func (r *receiver) set(f func(e *relay.Entry, try int) relay.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *receiver) Deliver(ctx context.Context, e *relay.Entry) relay.Result {
	began := time.Now()
	r.mu.Lock()
	r.tries[e.ID]++
	try := r.tries[e.ID]
	r.attempts = append(r.attempts, attempt{e.ID, time.Now()})
	r.inflight[e.Destination]++
	r.peak[e.Destination] = max(r.peak[e.Destination], r.inflight[e.Destination])
	answer := r.answer
	r.mu.Unlock()
	res := answer(e, try)
	timer := time.NewTimer(res.Duration)
	defer timer.Stop()
	seen := res.Reason.Fault() == relay.NoFault
	select {
	case <-timer.C:
	case <-ctx.Done():
		seen = seen && r.sees
		res = relay.Result{Reason: relay.ReasonNetwork}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inflight[e.Destination]--
	if seen {
		r.got = append(r.got, *e)
		r.sights = append(r.sights, sight{e.ID, began, time.Now()})
	}
	return res
}

func (r *receiver) delivered() []relay.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]relay.Entry(nil), r.got...)
}

func (r *receiver) texts() []string {
	var list []string
	for _, e := range r.delivered() {
		list = append(list, e.Text)
	}
	return list
}

func (r *receiver) times(id relay.ID) []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []time.Time
	for _, a := range r.attempts {
		if a.id == id {
			list = append(list, a.at)
		}
	}
	return list
}

func newRig(t *testing.T, change func(*dispatch.Options)) *rig {
	t.Helper()
	return newShardedRig(t, 1, change)
}

func newShardedRig(t *testing.T, shards int, change func(*dispatch.Options)) *rig {
	t.Helper()
	r := &rig{
		t: t, shards: shards, dir: t.TempDir(), options: change,
		catalog: &catalog{policies: map[relay.Destination]relay.Policy{}, deleted: map[relay.Destination]bool{}},
		inbox:   &receiver{answer: ok, tries: map[relay.ID]int{}, inflight: map[relay.Destination]int{}, peak: map[relay.Destination]int{}},
	}
	r.start()
	t.Cleanup(r.stop) // inside the bubble, so that a failed test can end it
	return r
}

func (r *rig) start() {
	r.conn = natsdtest.OpenDir(r.t, r.dir)
	ctx := context.Background()
	var err error
	logs := r.logs
	logs.Shards, logs.Log, logs.Sole, logs.Appends = r.shards, zerolog.Nop(), true, r.conn.Appends()
	r.log, err = queue.Open(ctx, r.conn.JetStream(), logs)
	require.NoError(r.t, err)
	r.holds, err = r.log.OpenHolds(ctx)
	require.NoError(r.t, err)
	r.replays, err = r.log.OpenReplays(ctx)
	require.NoError(r.t, err)
	o := dispatch.Options{Log: r.log, Sender: r.inbox, Catalog: r.catalog, Holds: r.holds, Replays: r.replays, Logger: zerolog.Nop()}
	if r.options != nil {
		r.options(&o)
	}
	r.d = dispatch.New(o, 30*time.Second)
	for shard := range r.log.Shards() {
		require.NoError(r.t, r.d.Acquire(ctx, shard))
	}
}

func (r *rig) stop() {
	if r.conn == nil {
		return
	}
	require.NoError(r.t, r.d.Close())
	r.close()
}

// crash ends everything without the courtesies of a graceful stop.
func (r *rig) crash() {
	for _, shard := range r.d.Owned() {
		require.ErrorIs(r.t, r.d.Abandon(shard), dispatch.ErrLeaseLost)
	}
	require.NoError(r.t, r.d.Close())
	r.close()
}

func (r *rig) close() {
	r.replays.Close()
	r.holds.Close()
	r.log.Close()
	// The server sleeps under a lock when it shuts down. A request that waited for that lock
	// would hold the bubble's clock still, and with it the sleep.
	synctest.Wait()
	require.NoError(r.t, r.conn.Close())
	r.conn = nil
}

func (r *rig) send(channel int64, conversation, text string) relay.ID {
	return r.append(relay.Message{
		Type: "message.outbound", Kind: relay.KindMessage,
		ChannelID: channel, Destination: relay.ChannelDestination(channel), Conversation: conversation, Text: text,
	})
}

func (r *rig) append(m relay.Message) relay.ID {
	m.Direction = relay.Outbound
	m.ID = newID(r.t)
	receipt, err := r.log.Append(r.t.Context(), &m, "")
	require.NoError(r.t, err)
	return receipt.ID
}

// records reads the whole attempt log.
func (r *rig) records() []relay.Attempt {
	var list []relay.Attempt
	for shard := range r.log.Shards() {
		_, err := r.log.ReadAttempts(r.t.Context(), shard, 0, func(_ uint64, a relay.Attempt) { list = append(list, a) })
		require.NoError(r.t, err)
	}
	return list
}

func numbered(prefix string, n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprint(prefix, i))
	}
	return list
}

// newID makes an ID from the bubble's clock. relay.NewID would do, but for the generator
// behind it: it never goes back, and each bubble's time starts anew.
func newID(t *testing.T) relay.ID {
	u, err := uuid.NewRandom()
	require.NoError(t, err)
	ms := uint64(time.Now().UnixMilli())
	binary.BigEndian.PutUint64(u[:8], ms<<16|7<<12|uint64(u[7]))
	id, err := relay.ParseID("msg_" + u.String())
	require.NoError(t, err)
	return id
}

package crash

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

// Options describe a run.
type Options struct {
	Binary string // the program
	Dir    string // an empty directory for its data
	Env    []string

	Crashes int    // ends by kill -9
	Stops   int    // ends in order, mixed with the crashes
	Seed    uint64 // of everything that is random

	Channels      int     // default 8
	Conversations int     // of a channel; default 8
	Senders       int     // default 16
	PerSecond     float64 // messages accepted, at most; default 1500

	// Settle is how long the relay may take, after the last crash, to deliver what is left;
	// default one minute.
	Settle time.Duration
	// Log is told what happens; nil for silence.
	Log func(format string, args ...any)
}

func (o Options) withDefaults() Options {
	o.Channels = cmp.Or(o.Channels, 8)
	o.Conversations = cmp.Or(o.Conversations, 8)
	o.Senders = cmp.Or(o.Senders, 16)
	o.PerSecond = cmp.Or(o.PerSecond, 1500)
	o.Settle = cmp.Or(o.Settle, time.Minute)
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	return o
}

// The shortest and the longest life of a relay between being ready and its end.
const (
	lifeLeast = 100 * time.Millisecond
	lifeMost  = 1500 * time.Millisecond
)

// run is one run under way.
type run struct {
	o        Options
	dice     *rand.Rand
	receiver *receiver
	load     *load
	process  *Process
	http     *http.Client
	endings  []ending
	report   Report
}

// Run does a whole run. An error says that it could not be done, not that a promise was
// broken: that is Report.Err.
func Run(ctx context.Context, o Options) (Report, error) {
	o = o.withDefaults()
	began := time.Now()
	receiver, err := newReceiver(ctx, o.Seed, o.Channels)
	if err != nil {
		return Report{}, fmt.Errorf("opening the receiver: %w", err)
	}
	defer receiver.close()
	r := &run{
		o: o, dice: rand.New(rand.NewPCG(o.Seed, 0)), receiver: receiver,
		http:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.Senders}, Timeout: 20 * time.Second},
		report: Report{Seed: o.Seed},
	}
	defer r.http.CloseIdleConnections()
	if err := r.do(ctx); err != nil {
		if r.process != nil {
			r.process.Kill()
			err = fmt.Errorf("%w; the relay said:\n%s", err, tail(r.process.Output()))
		}
		return r.report, err
	}
	r.report.Took = time.Since(began)
	return r.report, nil
}

func (r *run) do(ctx context.Context) error {
	if err := r.start(ctx); err != nil {
		return err
	}
	channels, err := r.channels(ctx)
	if err != nil {
		return err
	}
	r.load = newLoad(channels, r.o.Conversations, r.o.PerSecond)
	if err := r.connect(); err != nil {
		return err
	}

	flapping, calm := context.WithCancel(ctx)
	defer calm()
	sending, enough := context.WithCancel(ctx)
	defer enough()
	giveUp, cancel := context.WithCancel(ctx)
	defer cancel()
	var sent error
	var beside sync.WaitGroup
	beside.Go(func() { r.receiver.flap(flapping, r.o.Seed) })
	beside.Go(func() { sent = r.load.run(sending, giveUp, r.o.Senders) })
	defer beside.Wait()

	err = r.lives(ctx)
	enough()
	if err != nil {
		cancel()
		return err
	}
	calm()
	beside.Wait()
	if sent != nil {
		return sent
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	return r.judge(ctx)
}

// lives ends the relay again and again, and leaves it running.
func (r *run) lives(ctx context.Context) error {
	kinds := make([]bool, r.o.Crashes+r.o.Stops) // true for a crash
	for i := range r.o.Crashes {
		kinds[i] = true
	}
	r.dice.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for i, crash := range kinds {
		life := lifeLeast + time.Duration(r.dice.Int64N(int64(lifeMost-lifeLeast)))
		select {
		case <-time.After(life):
		case <-r.process.Ended():
			return errors.New("the relay ended by itself")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		accepted, delivered := r.load.count(), r.receiver.count()
		if err := r.end(ctx, crash); err != nil {
			return err
		}
		r.o.Log("life %d of %d ended after %s, crash: %t; accepted %d, delivered %d", i+1, len(kinds), life.Round(time.Millisecond), crash, accepted, delivered)
		r.receiver.nextLife()
		if err := r.start(ctx); err != nil {
			return err
		}
		if err := r.connect(); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) end(ctx context.Context, crash bool) error {
	if !crash {
		r.report.Stops++
		err := r.process.Stop(ctx)
		r.endings = append(r.endings, ending{at: time.Now()})
		return err
	}
	r.report.Crashes++
	r.process.Kill()
	r.endings = append(r.endings, ending{at: time.Now(), crash: true})
	return nil
}

func (r *run) start(ctx context.Context) error {
	env := append([]string{
		"OMNIRELAY_DELIVERY_BREAKER_MAX_WAIT=300ms", // so that a run takes seconds
		"OMNIRELAY_LOG_LEVEL=warn",
	}, r.o.Env...)
	p, err := Start(ctx, ProcessOptions{Binary: r.o.Binary, Dir: r.o.Dir, Env: env})
	if err != nil {
		return err
	}
	r.process = p
	return nil
}

// client calls the relay's present life.
func (r *run) client() (*client.Client, error) {
	key, err := Key(r.o.Dir)
	if err != nil {
		return nil, err
	}
	return client.New(client.Options{BaseURL: r.process.API, Key: key, HTTP: r.http})
}

// connect points the senders at the relay's present life.
func (r *run) connect() error {
	c, err := r.client()
	if err != nil {
		return err
	}
	r.load.relay.Store(c)
	return nil
}

func (r *run) channels(ctx context.Context) ([]int64, error) {
	c, err := r.client()
	if err != nil {
		return nil, err
	}
	var ids []int64
	for n := range r.o.Channels {
		ch, err := c.CreateChannel(ctx, client.ChannelFields{
			Name:         new(fmt.Sprintf("channel %d", n)),
			Endpoint:     new(r.receiver.url(n)),
			RetryInitial: new(relay.Duration(20 * time.Millisecond)),
			RetryMax:     new(relay.Duration(200 * time.Millisecond)),
			MaxAttempts:  new(100),
		})
		if err != nil {
			return nil, err
		}
		ids = append(ids, ch.ID)
	}
	return ids, nil
}

// settle waits until everything that was accepted is delivered.
func (r *run) settle(ctx context.Context) error {
	r.receiver.ended.Store(true)
	ctx, cancel := context.WithTimeout(ctx, r.o.Settle)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for r.receiver.count() < r.load.count() {
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil // the check says what is missing
		}
	}
	return nil
}

// judge ends the relay in order and fills in the report.
func (r *run) judge(ctx context.Context) error {
	c, err := r.client()
	if err != nil {
		return err
	}
	for d, err := range c.AllDead(ctx, client.DeadFilter{Limit: 1000}) {
		if err != nil {
			return err
		}
		r.report.Dead++
		r.report.example("%s is dead: %s after %d attempts", d.Message.ID, d.Attempt.Reason, d.Attempt.Number)
	}
	r.askLost(ctx, c)
	if err := r.process.Stop(ctx); err != nil {
		return err
	}
	r.receiver.mu.Lock()
	defer r.receiver.mu.Unlock()
	r.report.Resent, r.report.Known = r.load.again, r.load.known
	r.report.check(r.load.accepted, r.receiver.messages, append(r.endings, ending{at: time.Now()}))
	return nil
}

// askLost asks the relay what it believes of the messages that were not delivered.
func (r *run) askLost(ctx context.Context, c *client.Client) {
	r.receiver.mu.Lock()
	var lost []relay.ID
	for id := range r.load.accepted {
		if s := r.receiver.messages[string(id)]; (s == nil || !s.delivered) && len(lost) < examplesMost {
			lost = append(lost, id)
		}
	}
	r.receiver.mu.Unlock()
	for _, id := range lost {
		m, err := c.Message(ctx, id)
		if err != nil {
			r.report.example("%s is not in the relay: %v", id, err)
			continue
		}
		r.report.example("%s is %s in the relay, position %d of %s, next attempt at %s, attempts %+v",
			id, m.State, m.Sequence, m.Destination, m.NextAt, m.Attempts)
	}
}

// tail is the end of a long text.
func tail(s string) string {
	const most = 8 << 10
	return s[max(0, len(s)-most):]
}

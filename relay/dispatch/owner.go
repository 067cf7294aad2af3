package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"omnirelay/queue"
	"omnirelay/relay"
)

// Owner is the one place that decides about a shard's messages. Its state belongs to the
// goroutine of Run; everything else reaches it through the mailbox.
type Owner struct {
	o        Options
	shard    int
	log      zerolog.Logger
	state    *State
	journal  *queue.Journal
	lost     atomic.Bool   // with the lease
	recorded chan struct{} // closed when nothing more will be recorded
	mail     *mailbox
	crew     *crew
	timers   *timers
	dests    map[relay.Destination]*destination

	work     context.Context // of attempts; ends when they are cut off
	cut      context.CancelCauseFunc
	chores   context.Context // of what is no message's work; a stop does not wait for it
	endChore context.CancelFunc
	underway int                       // attempts, reads, burials and snapshots in the background
	buried   map[relay.Position]func() // what goes on when a message is recorded as dead
	stopping bool
	clogged  bool           // the journal is behind: start nothing
	valid    func() bool    // the shard is still ours: otherwise start nothing
	loads    int            // readings under way
	unread   []reading      // those that wait
	swept    relay.Position // where the last one began
	arriving chan struct{}  // bounds the records in the mailbox

	saved     struct{ messages, attempts uint64 } // what the last snapshot covers
	saving    bool                                // a snapshot is being saved
	retaining bool                                // history is being purged
	retention *queue.Retention
}

const (
	// journalMost is how many unrecorded attempts stop new ones from starting: what is
	// delivered but not recorded is what a crash repeats.
	journalMost = 2048
	// journalPatience is for how long the attempt log may owe an acknowledgement before new
	// attempts stop as well: it may be out of reach.
	journalPatience = 250 * time.Millisecond
	// lateRecords is how long an owner that has lost its shard goes on trying to record what
	// it had done.
	lateRecords = 5 * time.Second
	// arrivingMost bounds the records that wait in the mailbox.
	arrivingMost = 1024
	// loadsMost is how many backlogs are read at the same time.
	loadsMost = 8
)

// The causes with which attempts are cut off.
var (
	ErrShutdown  = errors.New("the relay is shutting down")
	ErrLeaseLost = errors.New("the lease of the shard is lost")
)

// Recover builds the state of a shard from its last snapshot and the attempt log behind it.
// The message log is read on by Run.
func Recover(ctx context.Context, shard int, o Options) (*Owner, error) {
	o = o.withDefaults()
	w := &Owner{
		o:      o,
		shard:  shard,
		log:    o.Logger.With().Int("shard", shard).Logger(),
		state:  NewState(),
		mail:   newMailbox(),
		crew:   newCrew(),
		timers: newTimers(),
		dests:  map[relay.Destination]*destination{},
		buried: map[relay.Position]func(){},

		recorded: make(chan struct{}),
		arriving: make(chan struct{}, arrivingMost),

		valid:     func() bool { return true },
		retention: o.Log.Retention(shard),
	}
	w.work, w.cut = context.WithCancelCause(context.WithoutCancel(ctx))
	w.chores, w.endChore = context.WithCancel(w.work)
	data, err := o.Log.LoadSnapshot(ctx, shard)
	if err != nil {
		return nil, err
	}
	if data != nil {
		if w.state, err = Restore(data); err != nil {
			return nil, fmt.Errorf("shard %d: %w", shard, err)
		}
	}
	w.saved.messages, w.saved.attempts = w.state.messages, w.state.attempts
	var folding error
	upTo, err := o.Log.ReadAttempts(ctx, shard, w.state.attempts, func(seq uint64, a relay.Attempt) {
		folding = errors.Join(folding, w.state.Attempt(seq, &a))
	})
	if err := errors.Join(err, folding); err != nil {
		return nil, fmt.Errorf("recovering shard %d: %w", shard, err)
	}
	w.state.attempts = max(w.state.attempts, upTo)
	lost, err := o.Log.Pad(ctx, shard, w.state.highest(), w.state.attempts)
	if err != nil {
		return nil, fmt.Errorf("recovering shard %d: %w", shard, err)
	}
	if lost > 0 {
		w.log.Warn().Uint64("records", lost).Msg("the ends of the logs were lost, as by a power cut; what had not been acknowledged for good may be missing")
	}
	return w, nil
}

// Run works until ctx ends, then stops gracefully: it starts nothing more, waits up to grace
// for the attempts under way, records them all and saves a snapshot. Attempts that grace cut
// off count as never made.
func (w *Owner) Run(ctx context.Context, grace time.Duration) error {
	w.journal = w.o.Log.Journal(w.stored)
	defer w.crew.dismiss()
	defer w.closeJournal()
	defer w.leave()
	for d := range w.state.open {
		w.destination(d).rewind()
	}
	reading, stopReading := context.WithCancel(ctx)
	var reader sync.WaitGroup
	reader.Go(func() { w.o.Log.Follow(reading, w.shard, w.state.messages, w.read) })
	defer func() {
		stopReading()
		w.cut(ErrShutdown) // the reader may be waiting for the loop
		reader.Wait()
	}()
	w.timers.add(time.Now().Add(w.o.SnapshotEvery), w.snapshotNow)
	w.retainLater(retainEvery)
	for _, d := range w.dests {
		d.pump()
	}
	stop := ctx.Done()
	for !w.stopping || w.underway > 0 {
		select {
		case <-w.mail.wake:
			w.mail.run()
		case <-w.timers.alarm.C:
			w.timers.fire()
		case <-stop:
			stop = nil
			w.stopping = true
			w.endChore()
			defer time.AfterFunc(grace, func() { w.cut(ErrShutdown) }).Stop()
		}
	}
	if errors.Is(context.Cause(w.work), ErrLeaseLost) {
		return ErrLeaseLost
	}
	return w.finish()
}

// closeJournal ends the recording. What an owner did last before it lost its lease is still
// recorded, if that can be done soon: it stays delivered, whoever has the shard now, and each
// attempt that gets into the log is one that is not repeated, above all when the store comes
// back and the shard with it.
func (w *Owner) closeJournal() {
	if !w.lost.Load() {
		w.journal.Close()
		close(w.recorded)
		return
	}
	go func() {
		defer close(w.recorded)
		defer w.journal.Close()
		ctx, cancel := context.WithTimeout(context.Background(), lateRecords)
		defer cancel()
		if err := w.journal.Flush(ctx); err != nil {
			w.log.Warn().Err(err).Msg("what was delivered last may be delivered again")
		}
	}()
}

// finish records what has ended and saves the state, so that the next owner repeats nothing.
func (w *Owner) finish() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := w.journal.Flush(ctx); err != nil {
		return fmt.Errorf("shard %d: %w", w.shard, err)
	}
	w.mail.run()
	return w.save(ctx)
}

// leave gives back what the process counts for all its owners.
func (w *Owner) leave() {
	for _, d := range w.dests {
		d.leaveLine()
		d.count(-d.bytes)
		d.reserve(0)
		if d.breaker.open {
			w.o.Metrics.breakerOpened(-1)
		}
	}
	w.o.Metrics.setOpen(w.shard, 0)
}

// Do runs f on the owner's loop.
func (w *Owner) Do(f func()) { w.mail.post(f) }

// Abandon ends an owner whose lease is lost: attempts are cut off, no snapshot is written,
// and Run returns ErrLeaseLost soon after.
func (w *Owner) Abandon() {
	w.cut(ErrLeaseLost)
	w.mail.post(func() { w.stopping = true })
}

// lose is Abandon that records afterwards what had ended; see closeJournal.
func (w *Owner) lose() {
	w.lost.Store(true)
	w.Abandon()
}

// Refresh looks again at a destination's policy and hold.
func (w *Owner) Refresh(d relay.Destination) {
	w.mail.post(func() {
		if dest := w.dests[d]; dest != nil {
			dest.refresh()
			dest.pump()
		}
	})
}

func (w *Owner) destination(name relay.Destination) *destination {
	d := w.dests[name]
	if d == nil {
		d = newDestination(w, name)
		w.dests[name] = d
	}
	return d
}

// read is called by the reader of the message log; it waits while the loop is behind.
func (w *Owner) read(r queue.Record) {
	select {
	case w.arriving <- struct{}{}:
		w.mail.post(func() {
			<-w.arriving
			w.arrived(r)
		})
	case <-w.work.Done():
	}
}

func (w *Owner) arrived(r queue.Record) {
	if w.stopping {
		return // not folded, so the next owner reads it again
	}
	if w.state.Message(r.Destination, r.Position) {
		w.destination(r.Destination).arrive(r)
	}
}

// stored is called by the journal when the attempt log has acknowledged an attempt.
func (w *Owner) stored(seq uint64, a relay.Attempt) {
	w.mail.post(func() {
		if err := w.state.Attempt(seq, &a); err != nil {
			w.log.Error().Err(err).Msg("an own record cannot be folded")
		}
		switch a.Outcome {
		case relay.Reopened:
			w.reopened(a.Destination)
		case relay.Dead:
			if goOn := w.buried[a.Position]; goOn != nil {
				delete(w.buried, a.Position)
				goOn()
			}
		}
		if w.clogged && w.journal.Backlog() < journalMost/2 {
			w.clogged = false
			for _, d := range w.dests {
				d.pump()
			}
		}
	})
}

func (w *Owner) record(a relay.Attempt) {
	w.journal.Append(a)
	w.clogged = w.clogged || w.journal.Backlog() > journalMost
}

// behind reports whether nothing is to be started because the attempt log is behind. What it
// still has to acknowledge lifts that.
func (w *Owner) behind() bool {
	w.clogged = w.clogged || w.journal.Stuck() > journalPatience
	return w.clogged
}

// policyOf is the catalog's word, or the default for a destination that was deleted.
func (w *Owner) policyOf(d relay.Destination) (p relay.Policy, exists bool) {
	p, exists = w.o.Catalog.Policy(d)
	if !exists {
		p = relay.DefaultPolicy()
	}
	return p, exists
}

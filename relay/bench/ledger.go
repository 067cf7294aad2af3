package bench

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// ledger knows every message of one run: when its request began, when it was accepted and
// when the receiver first saw it. All methods may be called from many goroutines.
type ledger struct {
	run    uint16 // tells the messages of one run from those of another
	began  time.Time
	stamps []stamp // of message n at n-1
	next   atomic.Int64
	newest []atomic.Int64 // by conversation: the highest number that was seen

	accepted atomic.Int64
	seen     atomic.Int64 // different messages
	repeats  atomic.Int64 // sights of messages that were seen before
	disorder atomic.Int64 // first sights after a later message of the same conversation
}

// stamp is a message's times, in nanoseconds since the ledger began; 0 for not yet.
type stamp struct{ request, accept, sight atomic.Int64 }

func newLedger(run uint16, messages, conversations int) *ledger {
	return &ledger{
		run:    run,
		began:  time.Now(),
		stamps: make([]stamp, messages),
		newest: make([]atomic.Int64, conversations),
	}
}

// take gives the next message's number, from 1, or 0 when the ledger is full.
func (l *ledger) take() int64 {
	n := l.next.Add(1)
	if int(n) > len(l.stamps) {
		return 0
	}
	return n
}

func (l *ledger) since(at time.Time) int64 { return max(int64(at.Sub(l.began)), 1) }

// request notes when a message's request began.
func (l *ledger) request(n int64, at time.Time) { l.stamps[n-1].request.Store(l.since(at)) }

// accept notes that the sender has the 200 in hand.
func (l *ledger) accept(n int64) {
	l.stamps[n-1].accept.Store(l.since(time.Now()))
	l.accepted.Add(1)
}

// see notes that the receiver has a message.
func (l *ledger) see(m marker) {
	if m.run != l.run || m.number < 1 || int(m.number) > len(l.stamps) || m.conversation >= len(l.newest) {
		return // of another run
	}
	if !l.stamps[m.number-1].sight.CompareAndSwap(0, l.since(time.Now())) {
		l.repeats.Add(1)
		return
	}
	l.seen.Add(1)
	newest := &l.newest[m.conversation]
	for {
		last := newest.Load()
		if last > m.number {
			l.disorder.Add(1)
			return
		}
		if newest.CompareAndSwap(last, m.number) {
			return
		}
	}
}

// lost is how many accepted messages were not seen.
func (l *ledger) lost() int {
	n := 0
	for i := range l.stamps {
		if l.stamps[i].accept.Load() != 0 && l.stamps[i].sight.Load() == 0 {
			n++
		}
	}
	return n
}

// drained waits until every accepted message was seen.
func (l *ledger) drained(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for l.seen.Load() < l.accepted.Load() || l.lost() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d accepted messages did not reach the receiver: %w", l.lost(), l.accepted.Load(), ctx.Err())
		}
	}
	return nil
}

// outcome is what a run came to.
type outcome struct {
	accepted, repeats, disorder int64
	acceptedRate, deliveredRate float64         // a second, each from the first request to the last event
	fromRequest, fromAccept     []time.Duration // until the receiver saw it; sorted
	processor                   time.Duration   // time of all processors a message, sender and receiver included
}

func (l *ledger) outcome() outcome {
	o := outcome{accepted: l.accepted.Load(), repeats: l.repeats.Load(), disorder: l.disorder.Load()}
	var first, lastAccept, lastSight int64
	for i := range l.stamps {
		s := &l.stamps[i]
		request, accept, sight := s.request.Load(), s.accept.Load(), s.sight.Load()
		if accept == 0 || sight == 0 {
			continue
		}
		if first == 0 || request < first {
			first = request
		}
		lastAccept, lastSight = max(lastAccept, accept), max(lastSight, sight)
		o.fromRequest = append(o.fromRequest, time.Duration(sight-request))
		// The receiver may have the message before the sender has read its 200.
		o.fromAccept = append(o.fromAccept, time.Duration(max(sight-accept, 0)))
	}
	n := float64(len(o.fromRequest))
	if n > 0 {
		o.acceptedRate = n / time.Duration(lastAccept-first).Seconds()
		o.deliveredRate = n / time.Duration(lastSight-first).Seconds()
	}
	slices.Sort(o.fromRequest)
	slices.Sort(o.fromAccept)
	return o
}

// quantile is the q-th quantile (0 to 1) of sorted values, by nearest rank.
func quantile[T cmp.Ordered](sorted []T, q float64) T {
	var none T
	if len(sorted) == 0 {
		return none
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// marker is what a message's text begins with, so that the receiver knows it again in
// whatever envelope it travels.
type marker struct {
	run          uint16
	number       int64
	conversation int
}

const (
	markerPrefix = "bench-"
	markerLength = len("bench-rrrr-nnnnnnnnnnnn-cccccccc")
)

func (m marker) append(to []byte) []byte {
	return fmt.Appendf(to, "%s%04x-%012x-%08x", markerPrefix, m.run, m.number, m.conversation)
}

// findMarker looks for a marker in a body.
func findMarker(body []byte) (m marker, ok bool) {
	at := bytes.Index(body, []byte(markerPrefix))
	if at < 0 || len(body) < at+markerLength {
		return m, false
	}
	text := body[at+len(markerPrefix) : at+markerLength]
	if text[4] != '-' || text[17] != '-' {
		return m, false
	}
	run, err1 := strconv.ParseUint(string(text[:4]), 16, 16)
	number, err2 := strconv.ParseInt(string(text[5:17]), 16, 64)
	conversation, err3 := strconv.ParseInt(string(text[18:]), 16, 32)
	ok = err1 == nil && err2 == nil && err3 == nil && number > 0 && conversation >= 0
	return marker{uint16(run), number, int(conversation)}, ok
}

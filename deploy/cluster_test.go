package deploy_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

const (
	// takeOver is within what time others deliver what a relay that died would have.
	takeOver = 10 * time.Second
	// electing is within what time a cluster that lost a server works again: a follower waits
	// 4 to 9 s before it stands for election (nats-server, server/raft.go), and an election
	// without a majority is held again.
	electing = 30 * time.Second
	// unrecorded is for how long a relay may go on delivering what it cannot record.
	unrecorded = time.Second
	// justBefore is how long before an incident a message may have been delivered and be
	// delivered again after it: its attempt was not recorded yet.
	justBefore = 2 * time.Second
	// patience is how long the test waits for what is to come on a machine of any speed.
	patience = 3 * time.Minute
)

// TestCluster runs three relays on three NATS servers under load and takes one after the
// other from them: a relay by kill -9, by a graceful stop, by cutting it off from the store,
// a server by kill -9 and by cutting it off. What must hold on any machine is checked always:
// nothing accepted is lost, first sights are in order, nothing is repeated that an incident
// does not explain, every refusal is one that a sender can act on, all relays tell the same.
//
// How long things take is checked only where OMNIRELAY_TEST_ROUNDS says how often to do it
// all: on a machine that is busy with other things no such limit holds. It is not parallel to
// the other tests here.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a cluster in containers for minutes: left out by -short")
	}
	rounds, pace, timed := 1, time.Second, false
	if text, set := os.LookupEnv("OMNIRELAY_TEST_ROUNDS"); set {
		var err error
		rounds, err = strconv.Atoi(text)
		require.NoError(t, err, "OMNIRELAY_TEST_ROUNDS")
		pace, timed = 250*time.Millisecond, true
	}
	p := engine(t)
	c := openCluster(t, p)
	f := &fire{cluster: c, t: t, timed: timed, receiver: openReceiver(t, c.gate)}
	channels := createChannels(t, c.relays[0].api.Load(), f.receiver.url)
	f.load = startLoad(t, channels, pace, c.apis)
	f.channels = len(channels)
	f.balanced()

	for round := range rounds {
		relays := slices.Clone(c.relays)
		slices.Reverse(relays[:1+round%len(relays)]) // another one each time
		victim := relays[0]
		f.incident("kill -9 of "+victim.name, takeOver, victim.kill, victim.revive)

		victim = relays[1]
		f.graceful("stop of "+victim.name, victim)

		victim = relays[2]
		f.incident("cut off of "+victim.name, takeOver, victim.cut, victim.join)

		server := c.leader("RELAY_ATTEMPT")
		f.incident("kill -9 of "+server.name+", which led the attempt log", electing, server.kill, server.revive)

		server = c.leader("")
		f.incident("cut off of "+server.name+", which led the cluster", electing, server.cut, server.join)
	}
	f.load.end()
	f.settle()
}

// fire is the test under way.
type fire struct {
	*cluster
	t        *testing.T
	receiver *receiver
	load     *load
	channels int
	timed    bool // check how long things take

	incidents []incident
}

// incident is a time in which repeats are to be expected.
type incident struct{ from, until time.Time }

// steady waits until every channel has delivered a message that was accepted after now, by
// whichever relay.
func (f *fire) steady(within time.Duration) {
	f.t.Helper()
	began := time.Now()
	if !f.timed {
		within = patience
	}
	eventually(f.t, within+10*time.Second, func() error {
		accepted := f.load.acceptedIDs()
		fresh := map[int64]bool{}
		for _, a := range f.receiver.since(began) {
			// A message can arrive before its sender has the answer.
			if at, known := accepted[a.id]; known && at.After(began) {
				fresh[a.channel] = true
			}
		}
		if silent := f.channels - len(fresh); silent > 0 {
			return fmt.Errorf("%d of %d channels deliver nothing new; relays and their channels now: %v", silent, f.channels, f.owners())
		}
		return nil
	})
	f.well()
}

// balanced waits until the servers agree and the relays have their shares again: whatever
// comes next comes alone.
func (f *fire) balanced() {
	f.t.Helper()
	f.calm()
	f.steady(electing)
	// Names decide whose shards are whose. They are new with each start, and may now and then
	// leave a relay without any that has a channel: shares are waited for, and not insisted on.
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for since := time.Now(); len(f.owners()) < len(f.relays) && time.Since(since) < takeOver; {
		<-again.C
	}
}

// well checks what must hold at any time.
func (f *fire) well() {
	f.t.Helper()
	require.Empty(f.t, f.load.wrong(), "an answer that no sender should see")
	require.Empty(f.t, f.receiver.outOfOrder())
	if f.timed {
		require.Empty(f.t, f.receiver.twoAtOnce())
	}
}

// incident has something happen, waits until everything is delivered again without what was
// lost, and brings it back.
func (f *fire) incident(name string, within time.Duration, strike, mend func()) {
	f.t.Helper()
	owners := f.owners()
	at := time.Now()
	strike()
	f.steady(within)
	without := time.Now()
	quiet := silence(f.receiver.since(at.Add(-time.Second)), at)
	mend()
	f.balanced()
	f.expect(at)
	f.report(fmt.Sprint(name, ", ", owners), at, quiet, silence(f.receiver.since(without), without))
	if f.timed {
		require.LessOrEqual(f.t, quiet, within, "the longest time that a channel waited for others to take over")
	}
}

// expect notes an incident that began at a moment and is over.
func (f *fire) expect(at time.Time) {
	before := justBefore
	if !f.timed {
		before = patience
	}
	f.incidents = append(f.incidents, incident{at.Add(-before), time.Now()})
}

// graceful stops a relay and starts it again: nothing may be repeated.
func (f *fire) graceful(name string, victim *node) {
	f.t.Helper()
	owners := f.owners()
	at := time.Now()
	victim.stop()
	f.steady(takeOver)
	without := time.Now()
	quiet := silence(f.receiver.since(at.Add(-time.Second)), at)
	victim.revive()
	f.balanced()
	f.report(fmt.Sprint(name, ", ", owners), at, quiet, silence(f.receiver.since(without), without))
	if !f.timed {
		f.expect(at) // a relay that got no processor for seconds has lost its leases, as in a crash
		return
	}
	repeats, _ := f.repeats(at)
	require.Zero(f.t, repeats, "a relay that is stopped repeats nothing")
	require.LessOrEqual(f.t, quiet, takeOver)
}

// owners says how many channels each relay delivers to at present.
func (f *fire) owners() map[string]int {
	names := map[netip.Addr]string{}
	for _, r := range f.relays {
		names[r.address()] = r.name
	}
	last := map[int64]netip.Addr{}
	for _, a := range f.receiver.since(time.Now().Add(-time.Second)) {
		last[a.channel] = a.from
	}
	count := map[string]int{}
	for _, from := range last {
		count[names[from]]++
	}
	return count
}

// report prints an incident's figures.
func (f *fire) report(name string, at time.Time, lost, mended time.Duration) {
	f.t.Helper()
	codes, slowest, window := f.load.refusals(at)
	repeats, oldest := f.repeats(at)
	f.t.Logf("%s: longest silence of a channel %.1f s, when it came back %.1f s; %d repeats, of what was delivered in the last %.2f s before; refused %v over %.1f s, slowest refusal %.1f s; %.0f s in all",
		name, lost.Seconds(), mended.Seconds(), repeats, oldest.Seconds(), codes, window.Seconds(), slowest.Seconds(), time.Since(at).Seconds())
	if f.timed {
		require.Less(f.t, slowest, 12*time.Second, "no sender waits long for a refusal")
		require.Less(f.t, oldest, unrecorded, "a relay went on delivering what it could not record")
	}
}

// repeats counts the messages that came again since a moment. How long before their channel
// fell silent they came first is for how long a relay went on without recording what it did.
func (f *fire) repeats(since time.Time) (n int, oldest time.Duration) {
	arrivals := f.receiver.since(time.Time{})
	for i, a := range arrivals {
		if a.at.Before(since) || a.again.IsZero() {
			continue
		}
		n++
		first := slices.IndexFunc(arrivals, func(b arrival) bool { return b.id == a.id })
		last, silent, longest := a.again, a.again, time.Duration(0)
		for _, b := range arrivals[first : i+1] {
			if b.channel != a.channel {
				continue
			}
			if gap := b.at.Sub(last); gap > longest {
				silent, longest = last, gap
			}
			last = b.at
		}
		oldest = max(oldest, silent.Sub(a.again))
	}
	return n, oldest
}

// settle waits for the end of the work and checks every message.
func (f *fire) settle() {
	accepted := f.load.acceptedIDs()
	eventually(f.t, patience, func() error {
		if missing := f.receiver.missing(accepted); len(missing) > 0 {
			return fmt.Errorf("%d of %d accepted messages are not delivered, such as %s", len(missing), len(accepted), missing[0])
		}
		return nil
	})
	f.well()

	stats := f.receiver.sink.Stats()
	var text strings.Builder
	_, err := stats.WriteTo(&text)
	require.NoError(f.t, err)
	f.t.Logf("%d accepted; the receiver's own count:\n%s", len(accepted), &text)
	require.Zero(f.t, stats.OutOfOrder)
	require.Zero(f.t, stats.Unsigned+stats.BadSignature)

	// A message may be stored although its sender never heard of it; it has to be the one
	// that was sent again under the same key, which makes it one of those accepted.
	require.Equal(f.t, len(accepted), stats.Messages, "delivered and never accepted")
	for _, a := range f.receiver.since(time.Time{}) {
		expected := a.again.IsZero() || slices.ContainsFunc(f.incidents, func(i incident) bool {
			return a.again.After(i.from) && a.again.Before(i.until)
		})
		require.True(f.t, expected, "%s was repeated though nothing had happened", a.id)
	}

	// Any relay tells what became of any message, as soon as the last attempt is recorded.
	eventually(f.t, patience, func() error {
		var asked sync.WaitGroup
		errs := make([]error, len(f.relays))
		for i, r := range f.relays {
			asked.Go(func() { errs[i] = f.statuses(r, accepted) })
		}
		asked.Wait()
		return errors.Join(errs...)
	})
}

// statuses asks one relay for all messages.
func (f *fire) statuses(r *node, accepted map[relay.ID]time.Time) error {
	missing := len(accepted)
	for m, err := range r.api.Load().AllMessages(f.t.Context(), client.MessageFilter{Limit: 1000}) {
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if _, known := accepted[m.ID]; !known {
			return fmt.Errorf("%s: message %s was never accepted", r.name, m.ID)
		}
		if m.State != client.StateDelivered {
			return fmt.Errorf("%s: message %s is %s", r.name, m.ID, m.State)
		}
		missing--
	}
	if missing != 0 {
		return fmt.Errorf("%s: %d of %d messages are not in the list", r.name, missing, len(accepted))
	}
	return nil
}

package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// publisher sends records to JetStream, many at once, and brings each its acknowledgement.
//
// The client has PublishMsgAsync for that. Every message costs two of them, and a profile of a
// loaded relay showed their futures, timers and reflective decoding at a tenth of what the
// relay did beyond the least that can be done. Two more things are as wanted here: a record is
// never sent again by itself, because what was sent after it would overtake it, and there is
// one place that gives up what a broken connection leaves without an answer.
type publisher struct {
	nc       *nats.Conn
	prefix   string // of the subjects that acknowledgements come to
	sub      *nats.Subscription
	status   chan nats.Status
	patience time.Duration // how long to wait for an acknowledgement
	lost     func()        // an acknowledgement came too late for its record, or will not come

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]*publication
	spare   []*publication
	alarm   *time.Timer // set while armed, to when the oldest that waited then is late
	armed   bool
}

// publication is one record on its way.
type publication struct {
	p     *publisher
	token uint64
	sent  time.Time
	hook  func(ack)            // see send
	group *committer           // see send
	away  bool                 // not acknowledged yet, with a group
	came  chan acknowledgement // has room for one
}

// landed says that a record is not on its way any more, whatever became of it.
func (s *publication) landed() {
	if s.away {
		s.away = false
		s.group.sending.Add(-1)
	}
}

type acknowledgement struct {
	ack
	err error
}

// ack is where a record was stored.
type ack struct {
	seq       uint64
	duplicate bool
}

func newPublisher(nc *nats.Conn, patience time.Duration, lost func()) (*publisher, error) {
	p := &publisher{nc: nc, prefix: nc.NewInbox() + ".", patience: patience, lost: lost, waiting: map[uint64]*publication{}}
	p.alarm = time.AfterFunc(patience, p.overdue)
	p.alarm.Stop()
	var err error
	if p.sub, err = nc.Subscribe(p.prefix+"*", p.acknowledged); err != nil {
		return nil, fmt.Errorf("listening for acknowledgements: %w", err)
	}
	if err := p.sub.SetPendingLimits(-1, -1); err != nil {
		return nil, fmt.Errorf("listening for acknowledgements: %w", err)
	}
	p.status = nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	go func() {
		for range p.status {
			p.disconnected()
		}
	}()
	return p, nil
}

// close gives up what is on its way.
func (p *publisher) close() {
	p.nc.RemoveStatusListener(p.status)
	_ = p.sub.Unsubscribe() // fails only when the connection is closed, and the subscription with it
	p.alarm.Stop()
	p.disconnected()
}

// send puts a record on its way; its Reply is overwritten. Whoever sends must wait. Before the
// wait ends stored is called, where it is not nil, unless storing failed: for one record after
// another, in the order in which the server stored them. With a group the wait is for its flush
// as well.
func (p *publisher) send(m *nats.Msg, stored func(ack), group *committer) (*publication, error) {
	p.mu.Lock()
	var s *publication
	if n := len(p.spare); n > 0 {
		s, p.spare = p.spare[n-1], p.spare[:n-1]
	} else {
		s = &publication{p: p, came: make(chan acknowledgement, 1)}
	}
	p.last++
	s.token, s.sent, s.hook, s.group, s.away = p.last, time.Now(), stored, group, group != nil
	if s.away {
		group.sending.Add(1)
	}
	p.waiting[s.token] = s
	if !p.armed {
		p.armed = true
		p.alarm.Reset(p.patience)
	}
	p.mu.Unlock()
	m.Reply = p.prefix + strconv.FormatUint(s.token, 36)
	if err := p.nc.PublishMsg(m); err != nil {
		s.forget()
		return nil, storeError(err)
	}
	return s, nil
}

// sendAll puts records on their way together and hands each one's acknowledgement to stored, in
// the order of the records, up to the first that fails.
func (p *publisher) sendAll(ctx context.Context, msgs []*nats.Msg, stored func(ack)) error {
	sent := make([]*publication, 0, len(msgs))
	for _, m := range msgs {
		s, err := p.send(m, nil, nil)
		if err != nil {
			forgetAll(sent)
			return err
		}
		sent = append(sent, s)
	}
	for i, s := range sent {
		a, err := s.wait(ctx)
		if err != nil {
			forgetAll(sent[i+1:])
			return err
		}
		stored(a)
	}
	return nil
}

// sendRun is sendAll for many records of one stream to which nobody else writes meanwhile: the
// server answers for the first and the last only, and everything in between was stored where
// their sequences are as far apart as they are. It returns the first's sequence, or errTorn
// where some records may be missing.
func (p *publisher) sendRun(ctx context.Context, msgs []*nats.Msg) (first uint64, err error) {
	last := len(msgs) - 1
	ends := make([]*publication, 0, 2)
	for i, m := range msgs {
		if i > 0 && i < last {
			m.Reply = ""
			err = storeError(p.nc.PublishMsg(m))
		} else {
			var s *publication
			if s, err = p.send(m, nil, nil); err == nil {
				ends = append(ends, s)
			}
		}
		if err != nil {
			forgetAll(ends)
			return 0, err
		}
	}
	begin, err := ends[0].wait(ctx)
	if err != nil {
		ends[1].forget()
		return 0, err
	}
	end, err := ends[1].wait(ctx)
	if err != nil {
		return 0, err
	}
	if end.seq-begin.seq != uint64(last) {
		return 0, errTorn
	}
	return begin.seq, nil
}

var errTorn = errors.New("some records of a run may be missing")

func forgetAll(sent []*publication) {
	for _, s := range sent {
		s.forget()
	}
}

// wait returns JetStream's word. An error other than ErrFull and ErrMessageTooLarge leaves open
// whether the record is stored, as does the end of ctx.
func (s *publication) wait(ctx context.Context) (ack, error) {
	select {
	case got := <-s.came:
		return s.settled(got)
	case <-ctx.Done():
	}
	if got, ok := s.forget(); ok {
		return got.ack, got.err
	}
	return ack{}, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
}

func (s *publication) settled(got acknowledgement) (ack, error) {
	s.p.mu.Lock()
	s.p.keep(s)
	s.p.mu.Unlock()
	return got.ack, got.err
}

// forget ends the wait for a record, unless its acknowledgement has come.
func (s *publication) forget() (got acknowledgement, ok bool) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.p.waiting[s.token] != s {
		got, ok = <-s.came, true // what is not waiting any more is answered, or about to be
	}
	delete(s.p.waiting, s.token)
	s.landed()
	s.p.keep(s)
	return got, ok
}

// spareMost is how many publications are kept for further use.
const spareMost = 1024

func (p *publisher) keep(s *publication) {
	s.hook, s.group = nil, nil
	if len(p.spare) < spareMost {
		p.spare = append(p.spare, s)
	}
}

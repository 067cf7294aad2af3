package queue

import (
	"bytes"
	"sync"

	"omnirelay/relay"
)

// fresh is the messages that this process has just appended, so that its own readers need not
// decode what it encoded a moment before. Only messages whose id was made for this very append
// are here: a record that carries the id is that message and no other.
//
// What nobody takes, as where another instance owns the shard, is pushed out by what comes
// later.
type fresh struct {
	mu    sync.Mutex
	known map[relay.ID]*relay.Message
	ring  [freshMost]relay.ID
	next  int
}

const (
	// freshMost and freshSize bound what is kept: messages, and the bytes of each as stored.
	freshMost = 1024
	freshSize = 4 << 10
)

func (f *fresh) put(m *relay.Message, size int) {
	if size > freshSize {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil {
		f.known = make(map[relay.ID]*relay.Message, freshMost)
	}
	delete(f.known, f.ring[f.next])
	f.ring[f.next] = m.ID
	f.next = (f.next + 1) % freshMost
	f.known[m.ID] = m
}

// take returns the message that a record holds, once; nil where it is not known.
func (f *fresh) take(data []byte) *relay.Message {
	id, ok := idOf(data)
	if !ok {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.known[relay.ID(id)]
	if m != nil {
		delete(f.known, m.ID)
	}
	return m
}

// idOf is the id that encodeMessage puts first.
func idOf(data []byte) (id []byte, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"id":"`))
	if !ok {
		return nil, false
	}
	id, _, ok = bytes.Cut(rest, []byte{'"'})
	return id, ok
}

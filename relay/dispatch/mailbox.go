package dispatch

import "sync"

// mailbox carries work to an owner's loop: everything that touches the owner's state is a
// function that the loop runs, one at a time and in the order of posting.
type mailbox struct {
	mu    sync.Mutex
	queue []func()
	spare []func()
	wake  chan struct{} // holds a token while queue is not empty
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

func (m *mailbox) post(f func()) {
	m.mu.Lock()
	m.queue = append(m.queue, f)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// run runs all that was posted.
func (m *mailbox) run() {
	m.mu.Lock()
	got := m.queue
	m.queue, m.spare = m.spare[:0], nil
	m.mu.Unlock()
	for i, f := range got {
		f()
		got[i] = nil // what it refers to, such as a message's body, is not kept
	}
	m.mu.Lock()
	m.spare = got
	m.mu.Unlock()
}

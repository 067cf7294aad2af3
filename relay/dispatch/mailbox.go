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

// take returns all that was posted. The slice is used again by the call after the next.
func (m *mailbox) take() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	got := m.queue
	m.queue, m.spare = m.spare[:0], got
	return got
}

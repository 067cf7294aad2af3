package dispatch

import (
	"container/heap"
	"time"
)

// timers runs functions on the owner's loop when they are due. One runtime timer serves all.
type timers struct {
	entries timerHeap
	alarm   *time.Timer
}

// alarm is one planned call. A stopped alarm stays in the heap until it is due.
type alarm struct {
	at time.Time
	f  func() // nil when stopped
}

func (a *alarm) stop() {
	if a != nil {
		a.f = nil
	}
}

func newTimers() *timers {
	t := &timers{alarm: time.NewTimer(time.Hour)}
	t.alarm.Stop()
	return t
}

func (t *timers) add(at time.Time, f func()) *alarm {
	a := &alarm{at: at, f: f}
	heap.Push(&t.entries, a)
	if t.entries[0] == a {
		t.alarm.Reset(time.Until(at))
	}
	return a
}

// fire runs what is due and sets the runtime timer for the next.
func (t *timers) fire() {
	now := time.Now()
	for len(t.entries) > 0 && !t.entries[0].at.After(now) {
		if a := heap.Pop(&t.entries).(*alarm); a.f != nil {
			a.f()
		}
	}
	if len(t.entries) > 0 {
		t.alarm.Reset(time.Until(t.entries[0].at))
	}
}

type timerHeap []*alarm

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)        { *h = append(*h, x.(*alarm)) }
func (h *timerHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}

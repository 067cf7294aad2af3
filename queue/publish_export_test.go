package queue

import "github.com/nats-io/nats.go"

// ReadAck is what a log reads in an acknowledgement.
func ReadAck(m *nats.Msg) (seq uint64, duplicate bool, err error) {
	a, err := readAck(m)
	return a.seq, a.duplicate, err
}

// Unanswered is how many records of a log wait for their acknowledgement.
func Unanswered(l *Log) int {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	return len(l.out.waiting)
}

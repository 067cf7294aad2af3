package sink

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Stats counts what came since the start.
type Stats struct {
	Requests   int `json:"requests"`     // all POSTs
	Messages   int `json:"messages"`     // different webhook-ids among those that came in whole
	Accepted   int `json:"accepted"`     // different webhook-ids that got a 2xx
	Retries    int `json:"retries"`      // came again after no 2xx
	Repeats    int `json:"repeats"`      // came again after a 2xx
	OutOfOrder int `json:"out_of_order"` // seen or accepted after a later one of the conversation

	Unsigned     int `json:"unsigned"`      // no signature although secrets are set
	BadSignature int `json:"bad_signature"` // a signature that does not verify
	Unreadable   int `json:"unreadable"`    // no webhook-id, broken JSON, too large or cut off

	// Answers counts the answers by status, and by action where there was none.
	Answers map[string]int `json:"answers"`
	Bytes   int64          `json:"bytes"` // of bodies

	// Forgotten counts messages and conversations that the bounded memory let go. While it is
	// 0 the figures above are exact.
	Forgotten int `json:"forgotten"`
}

// Stats returns the counts so far.
func (s *Sink) Stats() Stats {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	stats := s.ledger.stats
	stats.Answers = maps.Clone(stats.Answers)
	return stats
}

// WriteTo writes the counts as a few lines for people.
func (s Stats) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests, %d messages, %d accepted, %d bytes\n", s.Requests, s.Messages, s.Accepted, s.Bytes)
	fmt.Fprintf(&b, "%d retries, %d repeats, %d out of order\n", s.Retries, s.Repeats, s.OutOfOrder)
	fmt.Fprintf(&b, "%d unsigned, %d bad signatures, %d unreadable\n", s.Unsigned, s.BadSignature, s.Unreadable)
	if len(s.Answers) > 0 {
		var answers []string
		for _, name := range slices.Sorted(maps.Keys(s.Answers)) {
			answers = append(answers, fmt.Sprintf("%s ×%d", name, s.Answers[name]))
		}
		fmt.Fprintf(&b, "answers: %s\n", strings.Join(answers, ", "))
	}
	if s.Forgotten > 0 {
		fmt.Fprintf(&b, "%d messages and conversations were forgotten: repeats and order are lower bounds\n", s.Forgotten)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

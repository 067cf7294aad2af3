package sink

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// line is what is printed of one request. With JSON output its form is part of the
// command's interface.
type line struct {
	At     time.Time `json:"at"`
	Path   string    `json:"path"`
	Answer string    `json:"answer"` // the status, or the action where there was no answer
	received
	Signature   string `json:"signature"` // verified, unchecked, unsigned, or what is wrong
	Sight       Sight  `json:"sight,omitempty"`
	OutOfOrder  bool   `json:"outOfOrder,omitempty"`
	ContentType string `json:"contentType,omitempty"`
	Problem     string `json:"problem,omitempty"` // why the request cannot be read
	Body        string `json:"body,omitempty"`

	call deskCall // with a Desk
}

// print writes the line; a failing writer is nothing that a sender should feel.
func (s *Sink) print(l *line) {
	if s.out == nil {
		return
	}
	var text []byte
	if s.json {
		text, _ = json.Marshal(l) // strings, numbers and a time: cannot fail
	} else {
		text = []byte(l.human())
	}
	s.outMu.Lock()
	defer s.outMu.Unlock()
	_, _ = s.out.Write(append(text, '\n'))
}

// human is the line for people, without the body.
func (l *line) human() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-11s %s", l.At.Format("15:04:05.000"), l.Answer, word(l.ID))
	if l.Type != "" {
		b.WriteString(" " + word(l.Type))
	}
	if l.ChannelID != 0 {
		b.WriteString(" channel " + strconv.FormatInt(l.ChannelID, 10))
	}
	if l.Conversation != "" {
		fmt.Fprintf(&b, " %s #%d", word(l.Conversation), l.Sequence)
	}
	b.WriteString(" " + l.Signature)
	if l.Sight == RetrySight || l.Sight == Repeat {
		b.WriteString(" " + strings.ToUpper(string(l.Sight)))
	}
	if l.OutOfOrder {
		b.WriteString(" OUT OF ORDER")
	}
	if l.Problem != "" {
		b.WriteString(" " + l.Problem)
	}
	if l.Text != "" {
		b.WriteString(" " + strconv.Quote(clip(l.Text, 120)))
	}
	return b.String()
}

// word is a stranger's word, made safe for a terminal.
func word(s string) string {
	if s == "" {
		return "-"
	}
	s = clip(s, 80)
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// clip keeps the first letters of a text.
func clip(s string, most int) string {
	n := 0
	for at := range s {
		if n++; n > most {
			return s[:at] + "…"
		}
	}
	return s
}

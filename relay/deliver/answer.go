package deliver

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxAnswerRead = 64 << 10
	maxAnswerKept = 1 << 10
	maxErrorKept  = 512
	maxRetryAfter = 24 * time.Hour
)

// answer is what was read of a response's body.
type answer struct {
	buf bytes.Buffer
}

var answers = sync.Pool{New: func() any { return new(answer) }}

// readAnswer reads at most 64 KiB of the body. What was read before an error is kept. It
// must be released.
func readAnswer(body io.Reader) (*answer, error) {
	a := answers.Get().(*answer)
	a.buf.Reset()
	_, err := a.buf.ReadFrom(io.LimitReader(body, maxAnswerRead))
	return a, err
}

// release gives the buffer back. A large one is left to the garbage collector, so that one
// talkative receiver does not make every buffer large.
func (a *answer) release() {
	if a.buf.Cap() <= 8<<10 {
		answers.Put(a)
	}
}

// clean keeps at most n bytes of a stranger's text as valid UTF-8 that is safe to show:
// invalid bytes become U+FFFD, control characters, line separators and marks that change the
// direction of text become spaces, and the ends are trimmed.
func clean(text []byte, n int) string {
	var b strings.Builder
	b.Grow(min(len(text), n))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		if unicode.IsControl(r) || r > unicode.MaxLatin1 && misleading(r) {
			r = ' '
		}
		if b.Len()+utf8.RuneLen(r) > n {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// misleading reports whether a character breaks lines or turns the direction of text around.
func misleading(r rune) bool {
	return r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

// retryAfter reads a Retry-After header (RFC 9110 section 10.2.3): a number of seconds or a
// date. It is 0 for one that is absent, malformed or in the past, and at most 24 h.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if strings.Trim(text, "0123456789") == "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter // all digits, so the only error is a number too large
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

package daemon

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/relay"
	"omnirelay/relay/config"
	"omnirelay/relay/helpdesk"
	"omnirelay/relay/sink"
)

// notebook is a helpdesk that has what it takes written down by somebody else, in the order
// in which it came: the texts and files of each customer, and when.
type notebook struct {
	desk http.Handler
	mu   sync.Mutex
	said map[string][]string
	at   []time.Time
}

func (n *notebook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the desk would not get it either
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	status := &noted{ResponseWriter: w}
	n.desk.ServeHTTP(status, r)
	if status.code != http.StatusOK {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err := r.ParseMultipartForm(1 << 20); err != nil {
		return // what is missing then shows
	}
	text := r.FormValue("message")
	if f, _, err := r.FormFile("file"); err == nil {
		content, _ := io.ReadAll(f)
		text = "file " + string(content)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	who := cmp.Or(r.FormValue("chatSessionID"), r.FormValue("fromAddress"))
	n.said[who] = append(n.said[who], text)
	n.at = append(n.at, time.Now())
}

// noted remembers an answer's status.
type noted struct {
	http.ResponseWriter
	code int
}

func (n *noted) WriteHeader(code int) {
	n.code = code
	n.ResponseWriter.WriteHeader(code)
}

// TestTheHelpdeskIsDownForAnHour has customers of a custom channel and visitors of a chat
// write through an hour of outage, visitors with a file now and then.
func TestTheHelpdeskIsDownForAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, omnideskAt)
		desk := h.desk()
		book := &notebook{desk: desk, said: map[string][]string{}}
		h.out.hosts["desk.example.com"] = book
		const conversations, each = 20, 30
		want := map[string][]string{}
		say := func(n int) {
			for c := range conversations {
				who, text := fmt.Sprint("customer-", c), fmt.Sprint(n)
				if c%2 == 0 {
					h.append(customer(who, text))
					want[who] = append(want[who], text)
					continue
				}
				who = fmt.Sprint("session-number-", c)
				m := visitor(helpdesk.TypeChatMessage, who, nil)
				m.Text = text
				if (n+c)%3 == 0 {
					file, err := h.files.Put(t.Context(), "a.txt", "text/plain", strings.NewReader(who+" "+text), 1<<20)
					require.NoError(t, err)
					m = visitor(helpdesk.TypeChatAttachment, who, nil)
					m.Kind, m.Attachments = relay.KindAttachment, []relay.Attachment{file}
					text = "file " + who + " " + text
				}
				h.append(m)
				want[who] = append(want[who], text)
			}
		}
		say(0)
		h.waitFor(time.Minute)
		h.out.down.Store(true)
		desk.Misbehave(sink.Fault{Action: sink.Answer, Status: 503}) // on the connections that stay open
		for n := 1; n < each; n++ {
			say(n)
			h.waitFor(2 * time.Minute)
		}
		h.waitFor(2 * time.Minute)
		for who, said := range book.said {
			require.Len(t, said, 1, "nothing of %s came through in that hour", who)
		}
		h.out.down.Store(false)
		desk.Misbehave()
		h.waitFor(10 * time.Minute)

		require.Equal(t, want, book.said)
		require.Len(t, desk.Tickets(), conversations)
		stats := desk.Stats()
		require.Zero(t, stats.OutOfOrder)
		require.Zero(t, stats.Repeats)
		require.Zero(t, stats.Unreadable)
		require.Equal(t, conversations*each, stats.Accepted)
		page, err := h.log.Dead(t.Context(), queue.DeadFilter{})
		require.NoError(t, err)
		require.Empty(t, page.Items)
		h.close()
	})
}

// TestTheHelpdesksRateLimit: the account gets no more than it should, in any second.
func TestTheHelpdesksRateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit, messages = 5, 100
		h := newHalf(t, func(c *config.Config) {
			omnideskAt(c)
			c.Helpdesk.RateLimit = limit
		})
		book := &notebook{desk: h.desk(), said: map[string][]string{}}
		h.out.hosts["desk.example.com"] = book
		for n := range messages {
			h.append(customer(fmt.Sprint("customer-", n%10), fmt.Sprint(n)))
		}
		h.waitFor(time.Hour)
		require.Len(t, book.at, messages)
		for i := limit + 1; i < messages; i++ {
			require.GreaterOrEqual(t, book.at[i].Sub(book.at[i-limit-1]), time.Second-time.Millisecond, "message %d", i)
		}
		require.Less(t, book.at[messages-1].Sub(book.at[0]), 30*time.Second, "and no less than it may")
		h.close()
	})
}

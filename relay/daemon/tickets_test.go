package daemon

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/relay"
	"omnirelay/relay/helpdesk"
	"omnirelay/relay/tickets"
)

// strictDesk is a helpdesk that makes a ticket of every message that names none, as one does
// that knows no addresses, and refuses tickets that it has closed.
type strictDesk struct {
	mu     sync.Mutex
	next   int64
	closed map[int64]bool
	silent bool     // answers name no ticket
	got    []string // "ticket text" of what was taken, in order
}

func (d *strictDesk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var v helpdesk.Values
	if err == nil {
		v, err = helpdesk.ParseBody(r.Header.Get("Content-Type"), body, helpdesk.DefaultLimits())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	ticket := v.Integer("ticketID")
	if err != nil || d.closed[ticket] {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"status":"error","message":"This ticket does not exist."}`)
		return
	}
	if ticket == 0 {
		d.next++
		ticket = d.next
	}
	d.got = append(d.got, fmt.Sprint(ticket, " ", v.Text("message")))
	if !d.silent {
		_, _ = fmt.Fprintf(w, `{"type":"result","message":"Message sent.","ticketID":%d}`, ticket)
	}
}

// TestACustomersTicketIsRemembered has two customers of a custom channel write, who know
// nothing of tickets.
func TestACustomersTicketIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, omnideskAt)
		desk := &strictDesk{next: 100, closed: map[int64]bool{}}
		h.out.hosts["desk.example.com"] = desk
		say := func(address, text string) relay.ID {
			id := h.append(customer(address, text))
			h.waitFor(time.Second)
			return id
		}
		first := say("ann", "one")
		say("bob", "one")
		second := say("ann", "two")
		desk.silent = true
		third := say("ann", "three")
		desk.silent = false
		require.Equal(t, []string{"101 one", "102 one", "101 two", "101 three"}, desk.got)
		for _, id := range []relay.ID{first, second, third} {
			s := h.status(id)
			require.Equal(t, queue.StateDelivered, s.State)
			require.EqualValues(t, 101, s.Attempts[0].TicketID)
			require.Zero(t, s.Entry.TicketID, "what is stored is what the sender said")
			require.Equal(t, "address:ann", s.Entry.Conversation, "and its order is kept by the same name")
		}
		address, err := h.tickets.Address(t.Context(), 1001, 101)
		require.NoError(t, err)
		require.Equal(t, "ann", address)

		// A message that names a ticket, or cannot be told from another customer's, is left as
		// it is.
		named := customer("ann", "four")
		named.TicketID, named.Conversation = 7, "ticket:7"
		h.append(named)
		h.waitFor(time.Second)
		say("", "whose?")
		say("", "whose?")
		require.Equal(t, []string{"7 four", "103 whose?", "104 whose?"}, desk.got[4:])
		h.close()
	})
}

// TestARefusedTicketIsForgotten shows that a ticket that is gone costs no message.
func TestARefusedTicketIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, omnideskAt)
		desk := &strictDesk{next: 100, closed: map[int64]bool{}}
		h.out.hosts["desk.example.com"] = desk
		h.append(customer("ann", "one"))
		h.waitFor(time.Second)
		desk.closed[101] = true
		id := h.append(customer("ann", "two"))
		h.append(customer("ann", "three"))
		h.waitFor(time.Hour)
		require.Equal(t, []string{"101 one", "102 two", "102 three"}, desk.got)
		s := h.status(id)
		require.Len(t, s.Attempts, 2)
		require.Equal(t, relay.ReasonStatus4xx, s.Attempts[0].Reason)
		require.EqualValues(t, 102, s.Attempts[1].TicketID)
		ticket, err := h.tickets.Of(t.Context(), tickets.Customer{ChannelID: 1001, Address: "ann"})
		require.NoError(t, err)
		require.EqualValues(t, 102, ticket)
		h.close()
	})
}

// TestATicketOutlivesAnOutage has what waited go into the ticket of what came through.
func TestATicketOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, omnideskAt)
		desk := &strictDesk{next: 100}
		h.out.hosts["desk.example.com"] = desk
		h.out.down.Store(true)
		var want []string
		for n := range 5 {
			h.append(customer("ann", fmt.Sprint(n)))
			h.waitFor(time.Minute)
			want = append(want, fmt.Sprint("101 ", n))
		}
		h.out.down.Store(false)
		h.waitFor(time.Hour)
		require.Equal(t, want, desk.got)
		h.close()
	})
}

package tickets_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay/tickets"
)

func TestMain(m *testing.M) { natsdtest.Main(m) }

const ttl = 8 * time.Hour

// open opens a store with two instances on it.
func open(t *testing.T) (one, other *tickets.Tickets, done func()) {
	t.Helper()
	conn := natsdtest.OpenDir(t, t.TempDir())
	one, err := tickets.Open(t.Context(), conn.JetStream(), tickets.Options{TTL: ttl})
	require.NoError(t, err)
	other, err = tickets.Open(t.Context(), conn.JetStream(), tickets.Options{TTL: ttl})
	require.NoError(t, err)
	return one, other, func() { require.NoError(t, conn.Close()) }
}

func ticketOf(t *testing.T, m *tickets.Tickets, c tickets.Customer) int64 {
	t.Helper()
	id, err := m.Of(context.Background(), c)
	require.NoError(t, err)
	return id
}

func addressOf(t *testing.T, m *tickets.Tickets, channelID, ticketID int64) string {
	t.Helper()
	address, err := m.Address(context.Background(), channelID, ticketID)
	require.NoError(t, err)
	return address
}

func TestWhatOneLearnsAllKnow(t *testing.T) {
	t.Parallel()
	one, other, done := open(t)
	defer done()
	ann, bob := tickets.Customer{ChannelID: 1001, Address: "ann"}, tickets.Customer{ChannelID: 1001, Address: "bob"}
	strange := tickets.Customer{ChannelID: 1001, Address: "*.> é\n" + strings.Repeat("x", 900)}
	elsewhere := tickets.Customer{ChannelID: 1002, Address: "ann"}
	require.Zero(t, ticketOf(t, one, ann))
	require.Empty(t, addressOf(t, one, 1001, 7))
	for id, c := range map[int64]tickets.Customer{7: ann, 8: bob, 9: strange, 10: elsewhere} {
		require.NoError(t, one.Learn(t.Context(), c, id))
	}
	for id, c := range map[int64]tickets.Customer{7: ann, 8: bob, 9: strange, 10: elsewhere} {
		require.Equal(t, id, ticketOf(t, other, c))
		require.Equal(t, c.Address, addressOf(t, other, c.ChannelID, id))
	}
	require.Empty(t, addressOf(t, other, 1002, 7), "a ticket of another channel")

	// A new ticket takes the old one's place; the old one still knows its customer.
	require.NoError(t, other.Learn(t.Context(), ann, 17))
	require.EqualValues(t, 17, ticketOf(t, one, ann))
	require.Equal(t, "ann", addressOf(t, one, 1001, 17))
	require.Equal(t, "ann", addressOf(t, one, 1001, 7))

	require.NoError(t, one.Forget(t.Context(), ann))
	require.Zero(t, ticketOf(t, other, ann))
	require.EqualValues(t, 8, ticketOf(t, other, bob))
	require.Equal(t, "ann", addressOf(t, one, 1001, 17))
}

func TestSilenceForgetsATicket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := natsdtest.OpenDir(t, t.TempDir())
		defer func() { require.NoError(t, conn.Close()) }()
		m, err := tickets.Open(t.Context(), conn.JetStream(), tickets.Options{TTL: ttl})
		require.NoError(t, err)
		ann := tickets.Customer{ChannelID: 1001, Address: "ann"}
		writes := func() uint64 {
			stream, err := conn.JetStream().Stream(t.Context(), "KV_"+tickets.Bucket)
			require.NoError(t, err)
			return stream.CachedInfo().State.LastSeq
		}
		for range 5 * 60 { // a message every minute
			require.NoError(t, m.Learn(t.Context(), ann, 7))
			time.Sleep(time.Minute) // of the bubble
		}
		require.EqualValues(t, 2*3, writes(), "both records, at 0, 2 and 4 hours: so their age begins anew, without a write for each message")
		require.EqualValues(t, 7, ticketOf(t, m, ann))
		time.Sleep(2 * ttl)
		require.Zero(t, ticketOf(t, m, ann))
		require.Empty(t, addressOf(t, m, 1001, 7))
	})
}

func TestTheLongestSilentMakeRoom(t *testing.T) {
	t.Parallel()
	const most = 3
	m, err := tickets.Open(t.Context(), natsdtest.Open(t).JetStream(), tickets.Options{TTL: ttl, Most: most})
	require.NoError(t, err)
	customer := func(id int64) tickets.Customer {
		return tickets.Customer{ChannelID: 1001, Address: strconv.FormatInt(id, 10)}
	}
	for id := int64(1); id <= 10; id++ {
		require.NoError(t, m.Learn(t.Context(), customer(id), id))
	}
	for id := int64(1); id <= 10; id++ {
		want, address := id, customer(id).Address
		if id <= 10-most {
			want, address = 0, ""
		}
		require.Equal(t, want, ticketOf(t, m, customer(id)))
		require.Equal(t, address, addressOf(t, m, 1001, id))
	}
}

func TestAMemoryOfNoLengthIsRefused(t *testing.T) {
	t.Parallel()
	_, err := tickets.Open(t.Context(), natsdtest.Open(t).JetStream(), tickets.Options{})
	require.ErrorContains(t, err, "longer than nothing")
}

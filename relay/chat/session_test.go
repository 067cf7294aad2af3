package chat_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue/natsd"
	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay/chat"
)

const (
	id     = "0193a3b0-session-1"
	server = "https://chat.example.com/c/1"
)

func openSessions(t testing.TB, conn *natsd.Conn) *chat.Sessions {
	t.Helper()
	sessions, err := chat.OpenSessions(context.Background(), conn.JetStream(), chat.SessionOptions{Log: zerolog.Nop()})
	require.NoError(t, err)
	return sessions
}

func TestASessionIsOneAccountsAndOneServers(t *testing.T) {
	t.Parallel()
	conn := natsdtest.Open(t)
	s := openSessions(t, conn)
	defer s.Close()
	ours := chat.Account{ID: "ours"}
	theirs := chat.Account{ID: "theirs", AllowedServers: []string{server}}

	for _, visit := range []func(context.Context, string, string) (chat.Session, error){s.Visit, s.End} {
		_, err := visit(t.Context(), id, server)
		require.ErrorIs(t, err, chat.ErrNoSession)
	}
	made, err := s.Begin(t.Context(), ours, id, server, 8)
	require.NoError(t, err)
	require.Equal(t, "ours", made.AccountID)

	_, err = s.Begin(t.Context(), theirs, id, server, 8)
	require.ErrorIs(t, err, chat.ErrSessionTaken, "also where the other account's list names the server")
	_, err = s.Begin(t.Context(), ours, id, "https://evil.example.com", 8)
	require.ErrorIs(t, err, chat.ErrServerChanged)
	_, err = s.Visit(t.Context(), id, "https://evil.example.com")
	require.ErrorIs(t, err, chat.ErrServerChanged)
	_, err = s.End(t.Context(), id, "https://evil.example.com")
	require.ErrorIs(t, err, chat.ErrServerChanged)
	kept, err := s.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, made, kept)

	// Another spelling is the same server, and the first spelling stays.
	same, err := s.Begin(t.Context(), ours, id, "CHAT.example.com:443/c/1/", 8)
	require.NoError(t, err)
	require.Equal(t, server, same.Server)

	// The account's own list proves a move.
	ours.AllowedServers = []string{"https://new.example.com"}
	moved, err := s.Begin(t.Context(), ours, id, "https://new.example.com/c/1", 8)
	require.NoError(t, err)
	require.Equal(t, "https://new.example.com/c/1", moved.Server)
	_, err = s.Visit(t.Context(), id, server)
	require.ErrorIs(t, err, chat.ErrServerChanged)
	_, err = openAnother(t, conn).Visit(t.Context(), id, "https://new.example.com/c/1")
	require.NoError(t, err, "another instance knows it too")
}

func openAnother(t *testing.T, conn *natsd.Conn) *chat.Sessions {
	t.Helper()
	s := openSessions(t, conn)
	t.Cleanup(s.Close)
	return s
}

func TestIDsThatNoCallCouldHaveSent(t *testing.T) {
	t.Parallel()
	s := openSessions(t, natsdtest.Open(t))
	defer s.Close()
	for _, bad := range []string{"", "a.b", "a..b", "*", ">", "a b", "ä", "=session-id-1", fmt.Sprintf("%066d", 1)} {
		_, err := s.Get(t.Context(), bad)
		require.ErrorIs(t, err, chat.ErrNoSession, bad)
		_, err = s.Begin(t.Context(), chat.Account{ID: "a"}, bad, server, 8)
		require.ErrorIs(t, err, chat.ErrNoSession, bad)
	}
	_, err := s.Begin(t.Context(), chat.Account{ID: "a"}, "+31612345678", server, 8)
	require.NoError(t, err)
	_, err = s.Get(t.Context(), "31612345678")
	require.ErrorIs(t, err, chat.ErrNoSession)
	got, err := s.Get(t.Context(), "+31612345678")
	require.NoError(t, err)
	require.Equal(t, "+31612345678", got.ID)
}

func TestWhoWaits(t *testing.T) {
	t.Parallel()
	conn := natsdtest.Open(t)
	s := openSessions(t, conn)
	defer s.Close()
	a, b := chat.Account{ID: "a"}, chat.Account{ID: "b"}
	begin := func(account chat.Account, id string) {
		_, err := s.Begin(t.Context(), account, id, server, 8)
		require.NoError(t, err)
	}
	begin(a, "session-0001")
	begin(a, "session-0002")
	begin(a, "session-0002")
	begin(b, "session-0003")
	require.Equal(t, 2, s.Waiting("a"))
	require.Equal(t, 1, s.Waiting("b"))

	_, err := s.Answer(t.Context(), "session-0001")
	require.NoError(t, err)
	_, err = s.Answer(t.Context(), "session-0001")
	require.NoError(t, err)
	require.Equal(t, 1, s.Waiting("a"))
	_, err = s.End(t.Context(), "session-0002", server)
	require.NoError(t, err)
	_, err = s.End(t.Context(), "session-0002", server)
	require.NoError(t, err, "an end may come twice")
	require.Equal(t, 0, s.Waiting("a"))

	begin(a, "session-0001")
	require.Equal(t, 0, s.Waiting("a"), "an answered chat goes on")
	begin(a, "session-0002")
	require.Equal(t, 1, s.Waiting("a"), "an ended one begins again")
	_, err = s.Answer(t.Context(), "session-9999")
	require.ErrorIs(t, err, chat.ErrNoSession)
	require.Equal(t, 1, openAnother(t, conn).Waiting("b"))
}

func TestTicketsAreLearnt(t *testing.T) {
	t.Parallel()
	s := openSessions(t, natsdtest.Open(t))
	defer s.Close()
	_, err := s.ByTicket(t.Context(), 5)
	require.ErrorIs(t, err, chat.ErrNoSession)
	require.NoError(t, s.Learn(t.Context(), id, 5), "a forgotten session is no error")
	_, err = s.Begin(t.Context(), chat.Account{ID: "a"}, id, server, 8)
	require.NoError(t, err)
	require.NoError(t, s.Learn(t.Context(), id, 5))
	require.NoError(t, s.Learn(t.Context(), id, 5))
	found, err := s.ByTicket(t.Context(), 5)
	require.NoError(t, err)
	require.Equal(t, id, found.ID)
	require.NoError(t, s.Learn(t.Context(), id, 6))
	_, err = s.ByTicket(t.Context(), 5)
	require.ErrorIs(t, err, chat.ErrNoSession)
	found, err = s.ByTicket(t.Context(), 6)
	require.NoError(t, err)
	require.Equal(t, int64(6), found.TicketID)
}

func TestSilenceEndsASession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		s := openSessions(t, natsdtest.Open(t))
		defer s.Close()
		_, err := s.Begin(ctx, chat.Account{ID: "a"}, id, server, 8)
		require.NoError(t, err)
		require.NoError(t, s.Learn(ctx, id, 7))
		time.Sleep(23 * time.Hour)
		_, err = s.Get(ctx, id)
		require.NoError(t, err)
		require.Equal(t, 1, s.Waiting("a"))
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		_, err = s.Get(ctx, id)
		require.ErrorIs(t, err, chat.ErrNoSession)
		_, err = s.ByTicket(ctx, 7)
		require.ErrorIs(t, err, chat.ErrNoSession)
		require.Equal(t, 0, s.Waiting("a"), "nobody waits longer than a day")
	})
}

func TestAChattySessionIsWrittenDownNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := natsdtest.Open(t)
		s := openSessions(t, conn)
		defer s.Close()
		started := time.Now()
		for range 61 {
			_, err := s.Begin(context.Background(), chat.Account{ID: "a"}, id, server, 8)
			require.NoError(t, err)
			time.Sleep(10 * time.Second)
		}
		stream, err := conn.JetStream().Stream(context.Background(), "KV_"+chat.SessionBucket)
		require.NoError(t, err)
		require.Equal(t, uint64(3), stream.CachedInfo().State.LastSeq, "three writes in ten minutes")
		require.Equal(t, 10*time.Minute, stream.CachedInfo().State.LastTime.Sub(started), "so its age begins anew")
	})
}

func TestOneOfManyAtOnceGetsTheSession(t *testing.T) {
	t.Parallel()
	s := openSessions(t, natsdtest.Open(t))
	defer s.Close()
	var wg sync.WaitGroup
	owners := make([]string, 16)
	for i := range owners {
		wg.Go(func() {
			a := chat.Account{ID: fmt.Sprintf("account-%d", i)}
			if session, err := s.Begin(t.Context(), a, id, server, 8); err == nil {
				owners[i] = session.AccountID
			}
		})
	}
	wg.Wait()
	kept, err := s.Get(t.Context(), id)
	require.NoError(t, err)
	winners := 0
	for _, owner := range owners {
		if owner != "" {
			winners++
			require.Equal(t, kept.AccountID, owner)
		}
	}
	require.Equal(t, 1, winners)
}

func TestSessionsArePaged(t *testing.T) {
	t.Parallel()
	s := openSessions(t, natsdtest.Open(t))
	defer s.Close()
	for i := range 7 {
		_, err := s.Begin(t.Context(), chat.Account{ID: fmt.Sprintf("account-%d", i%2)}, fmt.Sprintf("session-%04d", i), server, 8)
		require.NoError(t, err)
	}
	require.NoError(t, s.Learn(t.Context(), "session-0000", 7))
	var ids []string
	f := chat.SessionFilter{Limit: 3}
	for pages := 0; ; pages++ {
		require.Less(t, pages, 4)
		page, err := s.List(t.Context(), f)
		require.NoError(t, err)
		for _, session := range page.Items {
			ids = append(ids, session.ID)
		}
		if page.Next == 0 {
			break
		}
		require.Len(t, page.Items, 3)
		f.After = page.Next
	}
	require.Equal(t, []string{"session-0001", "session-0002", "session-0003", "session-0004", "session-0005", "session-0006", "session-0000"}, ids)
	page, err := s.List(t.Context(), chat.SessionFilter{AccountID: "account-1"})
	require.NoError(t, err)
	require.Len(t, page.Items, 3)
}

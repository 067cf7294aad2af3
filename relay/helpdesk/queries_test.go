package helpdesk_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/helpdesk"
)

// roundTrip is a transport made of a handler, so that a bubble's clock rules it all.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answerWith(h http.HandlerFunc) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		rec := httptest.NewRecorder()
		h(rec, r)
		return rec.Result(), nil
	}
}

func TestAQuestionAsTheHelpdeskGetsIt(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v2/chat/requestChatQueue":
			if r.Method == http.MethodPost && r.Header.Get("apiKey") == "secret" && r.FormValue("chatAccountToken") == "abcDEF0123" {
				_, _ = w.Write([]byte(`{"type":"result","queue":3}`))
				return
			}
		case "/api/v2/chat/whitelistedDomainsAndBlacklistedIPs":
			if r.Method == http.MethodGet && r.ContentLength == 0 {
				return // 200, no content
			}
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(server.Close)
	q := helpdesk.NewQueries(helpdesk.NewAccount(server.URL, "secret"), http.DefaultTransport)
	answer, err := q.Ask(t.Context(), "requestChatQueue", helpdesk.Values{"chatAccountToken": "abcDEF0123"})
	require.NoError(t, err)
	require.JSONEq(t, `{"type":"result","queue":3}`, string(answer))
	answer, err = q.Ask(t.Context(), "whitelistedDomainsAndBlacklistedIPs", helpdesk.Values{})
	require.NoError(t, err)
	require.JSONEq(t, `{}`, string(answer))
	_, err = q.Ask(t.Context(), "requestChatConfig", helpdesk.Values{"chatAccountToken": "x"})
	require.ErrorContains(t, err, "418")
}

func TestAnswersAreKeptForAShortWhileAndLongerWhenThereIsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked, up := 0, true
		q := helpdesk.NewQueries(helpdesk.NewAccount("https://desk.example.com", "k"), answerWith(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			if !up {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			_, _ = w.Write([]byte(`{"n":` + string(rune('0'+asked)) + `}`))
		}))
		ask := func(token string) string {
			answer, err := q.Ask(t.Context(), "requestChatQueue", helpdesk.Values{"chatAccountToken": token})
			if err != nil {
				return "error"
			}
			return string(answer)
		}
		require.Equal(t, `{"n":1}`, ask("a"))
		require.Equal(t, `{"n":1}`, ask("a"))
		require.Equal(t, `{"n":2}`, ask("b"), "another question")
		time.Sleep(31 * time.Second)
		require.Equal(t, `{"n":3}`, ask("a"))
		up = false
		time.Sleep(time.Hour)
		require.Equal(t, `{"n":3}`, ask("a"), "stale is better than none")
		before := asked
		require.Equal(t, `{"n":3}`, ask("a"))
		require.Equal(t, before, asked, "a helpdesk that failed has some seconds of peace")
		require.Equal(t, "error", ask("c"), "nothing is known of this one")
		time.Sleep(24 * time.Hour)
		require.Equal(t, "error", ask("a"), "a day is too old")
		up = true
		require.Equal(t, "error", ask("a"))
		time.Sleep(6 * time.Second)
		require.NotEqual(t, "error", ask("a"))
	})
}

func TestWhatTheHelpdeskRefusesIsNoFailure(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status  int
		body    string
		refused bool
	}{
		"400":            {400, `{"status":"error","message":"No such token."}`, true},
		"200 with error": {200, `{"type":"error","message":"No such token."}`, true},
		"404":            {404, `{"message":"No such token."}`, true},
		"our key":        {401, `{"message":"No such key."}`, false},
		"our rights":     {403, ``, false},
		"our speed":      {429, ``, false},
		"broken":         {500, `<html>`, false},
		"moved":          {302, ``, false},
	} {
		q := helpdesk.NewQueries(helpdesk.NewAccount("https://desk.example.com", "k"), answerWith(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body))
		}))
		_, err := q.Ask(t.Context(), "requestChatQueue", helpdesk.Values{"chatAccountToken": "a"})
		require.Error(t, err, name)
		refused := new(helpdesk.RefusedError)
		if test.refused {
			require.ErrorAs(t, err, &refused, name)
			require.Equal(t, "No such token.", refused.Message)
			continue
		}
		require.NotErrorAs(t, err, &refused, name)
	}
}

func TestManyWhoAskTheSameAskOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	q := helpdesk.NewQueries(helpdesk.NewAccount("https://desk.example.com", "k"), answerWith(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte("not JSON"))
	}))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			answer, err := q.Ask(t.Context(), "requestChatQueue", helpdesk.Values{"chatAccountToken": "a"})
			if err != nil || string(answer) != `{"message":"not JSON","type":"result"}` {
				t.Errorf("answer %s, error %v", answer, err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, asked.Load())
}

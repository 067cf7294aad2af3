package helpdesk_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/helpdesk"
)

const fuzzKey = "the-key-that-no-error-may-show"

// fuzzAccount is an account whose key goes where it is easiest to leak.
func fuzzAccount() helpdesk.Account {
	a := helpdesk.NewAccount("http://desk.example.com", fuzzKey)
	a.KeyInQuery = true
	return a
}

// FuzzQueryAnswer gives the questions of live chat whatever a helpdesk may answer.
func FuzzQueryAnswer(f *testing.F) {
	for status, body := range map[int]string{
		200: `{"type":"item","item":{"a":1}}`, 201: "ok", 202: "[1,2]", 203: "\xef\xbb\xbf", 400: `{"status":"error","message":"No."}`,
		404: "", 422: `{"message":5}`, 500: "<html>", 204: `{"type":"error"}`, 299: "\xff{",
	} {
		f.Add(status, []byte(body))
	}
	f.Add(400, []byte(`{"message":"a`+strings.Repeat("é", 300)+`"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		status = 200 + ((status-200)%400+400)%400
		q := helpdesk.NewQueries(fuzzAccount(), answerWith(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write(body)
		}))
		answer, err := q.Ask(t.Context(), "requestChatQueue", helpdesk.Values{"chatAccountToken": "abcDEF0123"})
		if err == nil {
			require.Equal(t, 2, status/100)
			var object map[string]any
			require.NoError(t, json.Unmarshal(answer, &object), "%s", answer)
			return
		}
		require.Nil(t, answer)
		require.NotContains(t, err.Error(), fuzzKey)
		if refused, ok := errors.AsType[*helpdesk.RefusedError](err); ok {
			require.LessOrEqual(t, len(refused.Message), 500)
			require.True(t, utf8.ValidString(refused.Message))
		}
	})
}

// FuzzChannels gives the provisioning whatever a helpdesk may answer: it ends, and names
// channels that can be.
func FuzzChannels(f *testing.F) {
	for _, body := range []string{
		`{"itemTotal":2,"items":[{"id":1},{"id":"2","name":"A"}]}`, `[{"id":1},{"id":1}]`, `{"items":[{}]}`, `{"itemTotal":1e300,"items":[{"id":9}]}`,
		`{"item":{"id":7}}`, `{"id":5}`, `{"channelID":"6"}`, `{"status":"error","message":"No."}`, "", "ok", "null", "[[]]",
	} {
		f.Add(200, []byte(body))
		f.Add(500, []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		status = 200 + ((status-200)%400+400)%400
		channels := helpdesk.NewChannels(fuzzAccount(), answerWith(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write(body)
		}))
		list, err := channels.List(t.Context())
		seen := map[int64]bool{}
		for _, ch := range list {
			require.Positive(t, ch.ID)
			require.False(t, seen[ch.ID], "twice")
			seen[ch.ID] = true
		}
		id, err2 := channels.Create(t.Context(), helpdesk.Channel{Name: "A"})
		require.GreaterOrEqual(t, id, int64(0))
		err3 := channels.Update(t.Context(), helpdesk.Channel{ID: 1, Name: "A"})
		for _, err := range []error{err, err2, err3} {
			require.NotContains(t, fmt.Sprint(err), fuzzKey)
			require.False(t, err == nil && status/100 != 2)
		}
	})
}

// FuzzParseQuery reads any query beside any form, as the calls with ids in the query do.
func FuzzParseQuery(f *testing.F) {
	f.Add("chatServer=a&b[]=1&b[]=2", "chatSessionID=%2B1")
	f.Add("a=1&a=2", "")
	f.Add("a=%zz&;", "a=1")
	f.Add("limit=1&cursor=x&since=2026-01-02T03:04:05Z", "")
	f.Fuzz(func(t *testing.T, raw, body string) {
		query, err := helpdesk.ParseQuery(raw, helpdesk.DefaultLimits())
		if err != nil {
			var problems relay.Problems
			require.True(t, errors.As(err, &problems) || errors.Is(err, helpdesk.ErrMalformed) || errors.Is(err, helpdesk.ErrTooManyFields), "%v", err)
			return
		}
		v, err := helpdesk.ParseBody(form, []byte(body), helpdesk.DefaultLimits())
		if err != nil {
			return
		}
		if err := v.Merge(query); err != nil {
			require.ErrorAs(t, err, new(relay.Problems))
			return
		}
		for name, value := range query {
			require.Equal(t, value, v[name])
			require.True(t, utf8.ValidString(name) && utf8.ValidString(value))
		}
		for _, call := range []helpdesk.Call{helpdesk.AddAttachment(), helpdesk.MessageForCustomerHook(), helpdesk.UploadForCustomerHook(), helpdesk.TypingIndicatorForCustomerHook()} {
			if err := call.Check(v); err != nil {
				require.ErrorAs(t, err, new(relay.Problems))
			}
		}
	})
}

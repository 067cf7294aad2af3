package helpdesk_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/helpdesk"
)

// account is an Omnidesk account that a function answers for.
func account(t *testing.T, answer http.HandlerFunc) *helpdesk.Channels {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return helpdesk.NewChannels(helpdesk.NewAccount(server.URL, "s3cr3t"), server.Client().Transport)
}

func TestListsOfChannelsInManyForms(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]helpdesk.Channel{
		`{"type":"list","itemTotal":1,"items":[{"id":13,"name":"A","icon":"note","custom_channel_endpoint":"https://a"}]}`: {{ID: 13, Name: "A", Icon: "note", Endpoint: "https://a"}},
		`[{"id":"13","Name":"A","customChannelEndpoint":null}]`:                                                            {{ID: 13, Name: "A"}},
		`{"items":[]}`: nil,
	} {
		got, err := account(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("apiKey") != "s3cr3t" {
				w.WriteHeader(http.StatusUnauthorized)
			}
			_, _ = fmt.Fprint(w, body)
		}).List(t.Context())
		require.NoError(t, err, body)
		require.Equal(t, want, got)
	}
}

func TestALongListComesInPages(t *testing.T) {
	t.Parallel()
	got, err := account(t, func(w http.ResponseWriter, r *http.Request) {
		start := map[string]int{"": 0, "2": 2, "4": 4}[r.URL.Query().Get("itemStart")]
		_, _ = fmt.Fprintf(w, `{"itemTotal":5,"items":[{"id":%d},{"id":%d}]}`, start+1, min(start+2, 5))
	}).List(t.Context())
	require.NoError(t, err)
	require.Len(t, got, 5)
}

func TestWhatTheHelpdeskRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		body   string
		want   string
	}{
		"a status":          {http.StatusForbidden, `{"status":"error","message":"No permission."}`, "GET channel: the helpdesk answered 403 Forbidden: No permission."},
		"a page":            {http.StatusBadGateway, `<html>`, "the helpdesk answered 502 Bad Gateway"},
		"an error in a 200": {http.StatusOK, `{"status":"error","message":"No."}`, "the helpdesk answered with an error: No."},
		"no JSON":           {http.StatusOK, `ok`, "is no JSON"},
		"no items":          {http.StatusOK, `{"items":3}`, "holds no items"},
		"no id":             {http.StatusOK, `[{"name":"A"}]`, "has no id"},
		"not an object":     {http.StatusOK, `[3]`, "has no id"},
		"a redirect":        {http.StatusFound, ``, "the helpdesk answered 302 Found"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := account(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "https://elsewhere.example.com")
				w.WriteHeader(test.status)
				_, _ = fmt.Fprint(w, test.body)
			}).List(t.Context())
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "s3cr3t")
		})
	}
}

func TestTheKeyOfAQueryIsInNoError(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"http://127.0.0.1:1", "http://a b", "://"} {
		a := helpdesk.NewAccount(base, "s3cr3t")
		a.KeyInQuery = true
		_, err := helpdesk.NewChannels(a, &http.Transport{}).List(t.Context())
		require.Error(t, err)
		require.NotContains(t, err.Error(), "s3cr3t")
	}
}

func TestTheIDOfANewChannel(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int64{
		`{"type":"result","id":13}`:         13,
		`{"channelID":"13"}`:                13,
		`{"type":"item","item":{"id":13}}`:  13,
		`{"type":"result","message":"ok."}`: 0,
		``:                                  0,
	} {
		id, err := account(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || r.FormValue("name") != "A" || r.FormValue("custom_channel_endpoint") != "https://a" {
				w.WriteHeader(http.StatusBadRequest)
			}
			if _, given := r.Form["icon"]; given {
				w.WriteHeader(http.StatusBadRequest)
			}
			_, _ = fmt.Fprint(w, body)
		}).Create(t.Context(), helpdesk.Channel{Name: "A", Endpoint: "https://a"})
		require.NoError(t, err)
		require.Equal(t, want, id)
	}
}

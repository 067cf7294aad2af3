package deliver_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/deliver"
)

// answering makes a Deliverer whose receiver gives one canned answer.
func answering(status int, header http.Header, body io.Reader) *deliver.Deliverer {
	return deliver.New(deliver.Options{
		Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(body)}, nil
		}),
		Resolver: resolve(func(*relay.Entry) (deliver.Target, error) { return deliver.Target{URL: "http://receiver.test"}, nil }),
	})
}

func TestResponseIsSafeToShow(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 600) // 1,200 bytes
	for body, want := range map[string]string{
		"ok":                         "ok",
		" \r\n ok\r\n":               "ok",
		"line\nline\ttab":            "line line tab",
		"\x1b[31mred\x00\x7f\u0085":  "[31mred",
		"bad \xff\xfe bytes":         "bad \ufffd\ufffd bytes",
		"\u202egnp.exe\u2028x":       "gnp.exe x",
		"Grüße 世界 👩‍👩‍👧":             "Grüße 世界 👩‍👩‍👧",
		long:                         strings.Repeat("é", 512),
		strings.Repeat("\xff", 2000): strings.Repeat("\ufffd", 341),
		"":                           "",
	} {
		result := answering(500, nil, strings.NewReader(body)).Deliver(t.Context(), entry())
		require.Equal(t, want, result.Response, "%q", body)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, test := range []struct {
		status   int
		header   string
		min, max time.Duration
	}{
		{429, "120", 2 * time.Minute, 2 * time.Minute},
		{503, "120", 2 * time.Minute, 2 * time.Minute},
		{503, " 7 ", 7 * time.Second, 7 * time.Second},
		{429, "0", 0, 0},
		{429, "86400", 24 * time.Hour, 24 * time.Hour},
		{429, "86401", 24 * time.Hour, 24 * time.Hour},
		{429, strings.Repeat("9", 30), 24 * time.Hour, 24 * time.Hour},
		{429, now.Add(time.Hour).UTC().Format(http.TimeFormat), 50 * time.Minute, time.Hour},
		{429, now.Add(time.Hour).UTC().Format(time.ANSIC), 50 * time.Minute, time.Hour},
		{429, now.Add(-time.Hour).UTC().Format(http.TimeFormat), 0, 0},
		{429, now.AddDate(1, 0, 0).UTC().Format(http.TimeFormat), 24 * time.Hour, 24 * time.Hour},
		{429, "-5", 0, 0},
		{429, "1.5", 0, 0},
		{429, "soon", 0, 0},
		{429, "", 0, 0},
		{500, "120", 0, 0},
		{200, "120", 0, 0},
		{302, "120", 0, 0},
	} {
		result := answering(test.status, http.Header{"Retry-After": {test.header}}, strings.NewReader("")).Deliver(t.Context(), entry())
		require.GreaterOrEqual(t, result.RetryAfter, test.min, "%d %q", test.status, test.header)
		require.LessOrEqual(t, result.RetryAfter, test.max, "%d %q", test.status, test.header)
	}
}

func TestAnswerIsReadUpToItsBoundOnly(t *testing.T) {
	t.Parallel()
	endless := &counting{}
	result := answering(200, nil, endless).Deliver(t.Context(), entry())
	require.Equal(t, relay.ReasonOK, result.Reason)
	require.Len(t, result.Response, 1024)
	require.Equal(t, 64<<10, endless.read)
}

// counting never ends, and counts what was read of it.
type counting struct{ read int }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	c.read += len(p)
	return len(p), nil
}

func TestStatusErrorNamesTheHostOfARedirectOnly(t *testing.T) {
	t.Parallel()
	header := http.Header{"Location": {"https://user:pass@elsewhere.test/path?token=sesame"}}
	result := answering(307, header, strings.NewReader("")).Deliver(t.Context(), entry())
	require.Equal(t, "the receiver answered 307 Temporary Redirect; redirects are never followed, this one leads to https://elsewhere.test", result.Error)
	result = answering(308, http.Header{"Location": {"/other?token=sesame"}}, strings.NewReader("")).Deliver(t.Context(), entry())
	require.Equal(t, "the receiver answered 308 Permanent Redirect; redirects are never followed", result.Error)
}

// FuzzAnswer gives the Deliverer whatever a receiver may answer.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "", []byte("ok"))
	f.Add(429, "3600", []byte("\xff\x00\u202e"))
	f.Add(503, "Sun, 06 Nov 1994 08:49:37 GMT", bytes.Repeat([]byte("é"), 700))
	f.Add(302, "99999999999999999999", []byte(nil))
	f.Fuzz(func(t *testing.T, status int, header string, body []byte) {
		h := http.Header{"Retry-After": {header}, "Location": {header}}
		result := answering(status, h, bytes.NewReader(body)).Deliver(t.Context(), entry())
		require.Equal(t, deliver.Classify(status), result.Reason)
		for _, text := range []string{result.Response, result.Error} {
			require.True(t, utf8.ValidString(text))
			require.LessOrEqual(t, len(text), 1024)
			require.Equal(t, -1, strings.IndexFunc(text, unicode.IsControl))
		}
		require.GreaterOrEqual(t, result.RetryAfter, time.Duration(0))
		require.LessOrEqual(t, result.RetryAfter, 24*time.Hour)
		if seconds, err := strconv.ParseUint(header, 10, 16); err == nil && fmt.Sprint(seconds) == header && status == 429 {
			require.Equal(t, time.Duration(seconds)*time.Second, result.RetryAfter)
		}
	})
}

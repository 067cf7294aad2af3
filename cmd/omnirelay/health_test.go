package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// relayAsked is an admin listener that lives but is not ready.
func relayAsked(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "reading the logs", http.StatusServiceUnavailable)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func runHealth(t *testing.T, environ []string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &stdout, err: &stderr, environ: environ}
	code = a.run(t.Context(), append([]string{"health"}, args...))
	return code, stdout.String(), stderr.String()
}

func TestHealth(t *testing.T) {
	t.Parallel()
	url := relayAsked(t)
	listen := strings.TrimPrefix(url, "http://")
	_, port, _ := strings.Cut(listen, ":")
	closed := httptest.NewServer(nil)
	closed.Close()

	for name, tc := range map[string]struct {
		environ []string
		args    []string
		code    int
		out     string
		err     string
	}{
		"lives, found by the settings":         {environ: []string{"OMNIRELAY_ADMIN_LISTEN=" + listen}, out: url + "/healthz answers 200."},
		"lives, though it binds every address": {environ: []string{"OMNIRELAY_ADMIN_LISTEN=0.0.0.0:" + port}, out: url + "/healthz answers 200."},
		"lives, found by URL":                  {args: []string{"--url", url + "/"}, out: url + "/healthz answers 200."},
		"as JSON":                              {args: []string{"--url", url, "-o", "json"}, out: `"ok": true`},
		"not ready":                            {args: []string{"--url", url, "--ready"}, code: exitFailed, err: `answers 503: "reading the logs"`},
		"nobody there":                         {args: []string{"--url", closed.URL}, code: exitFailed, err: "no relay answers at " + closed.URL},
		"bad settings":                         {environ: []string{"OMNIRELAY_ADMIN_LISTEN=nowhere"}, code: exitFailed, err: "OMNIRELAY_ADMIN_LISTEN"},
		"an argument":                          {args: []string{"please"}, code: exitMisuse, err: "takes no arguments"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errOut := runHealth(t, tc.environ, tc.args...)
			require.Equal(t, tc.code, code, errOut)
			require.Contains(t, out, tc.out)
			require.Contains(t, errOut, tc.err)
		})
	}
}

func TestAdminURL(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		"127.0.0.1:8081": "http://127.0.0.1:8081",
		":8081":          "http://127.0.0.1:8081",
		"0.0.0.0:8081":   "http://127.0.0.1:8081",
		"[::]:8081":      "http://[::1]:8081",
		"10.0.0.7:8081":  "http://10.0.0.7:8081",
		"admin:8081":     "http://admin:8081",
	} {
		got, err := adminURL(listen)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

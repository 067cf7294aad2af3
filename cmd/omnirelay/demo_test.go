package main

import (
	"bytes"
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// demoDir is the demo's directory, as it says.
func demoDir(t *testing.T, said string) string {
	t.Helper()
	m := regexp.MustCompile(`its data in (\S+) for now`).FindStringSubmatch(said)
	require.NotNil(t, m, said)
	return m[1]
}

func TestTheDemoTellsItsStory(t *testing.T) {
	t.Parallel()
	r := run(t, "", nil, "demo", "--for", "0s")
	require.Equal(t, exitDone, r.code, r.err)
	require.Empty(t, r.err)
	// What must be seen, in this order.
	said := r.out
	for _, what := range []string{
		`customer → relay +"Where is my parcel\?"`, `relay → helpdesk +delivered, ticket 12312`, `agent → relay +"It is on its way\."`, `relay → app +delivered`,
		`"Do you have it in blue\?"`, `relay → helpdesk +delivered, ticket 12313`, `relay → chat server +delivered`,
		`relay → app +failed \(status_5xx, 503\), again in`, `relay → app +delivered\n.*relay → app +delivered\n.*relay → app +delivered\n`,
		`The helpdesk is down\.`, `relay → helpdesk +failed \(status_5xx, 503\)`, `The helpdesk is back\.`, `delivered, ticket 1231[23]`,
		`The helpdesk: 8 messages in \d+ requests, 0 repeats, 0 out of order\.`,
		`The app and the chat server: 5 messages in 8 requests, 0 repeats, 0 out of order\.`,
		`curl .*\n.*curl .*\n.*curl .*\n.*curl `,
	} {
		at := regexp.MustCompile(what).FindStringIndex(said)
		require.NotNil(t, at, "%s is not in the rest of:\n%s", what, said)
		said = said[at[1]:]
	}
	require.NotContains(t, r.out, "dead")
	require.NoDirExists(t, demoDir(t, r.out), "it leaves nothing behind")
}

// curl does what a line of the demo does.
func curl(t *testing.T, line string) string {
	t.Helper()
	var args []string
	for _, m := range regexp.MustCompile(`(?:"[^"]*"|[^\s"])+`).FindAllString(line, -1) {
		args = append(args, strings.ReplaceAll(m, `"`, ""))
	}
	require.Equal(t, "curl", args[0])
	var url string
	var body bytes.Buffer
	form, header, method := multipart.NewWriter(&body), http.Header{}, http.MethodGet
	for i := 1; i < len(args); i++ {
		switch args[i] {
		case "-H":
			i++
			name, value, _ := strings.Cut(args[i], ": ")
			header.Set(name, value)
		case "-F":
			i++
			method = http.MethodPost
			name, value, _ := strings.Cut(args[i], "=")
			require.NoError(t, form.WriteField(name, value))
		default:
			require.Empty(t, url, line)
			url = args[i]
		}
	}
	require.NoError(t, form.Close())
	req, err := http.NewRequestWithContext(t.Context(), method, url, &body)
	require.NoError(t, err)
	req.Header = header
	req.Header.Set("Content-Type", form.FormDataContentType())
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s: %s", line, text)
	return string(text)
}

func TestTheLinesOfTheDemoWorkUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var out, errs buffer
	a := &app{in: strings.NewReader(""), out: &out, err: &errs}
	code := make(chan int)
	go func() { code <- a.run(ctx, []string{"demo", "--for", "1h"}) }()
	shows := func(what string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(out.String(), what) }, time.Minute, 10*time.Millisecond, "%s\n%s", what, errs.String())
	}
	shows("It ends after 1h0m0s, or with Ctrl-C.\n")
	lines := regexp.MustCompile(`(?m)^  (curl .*)$`).FindAllStringSubmatch(out.String(), -1)
	require.Len(t, lines, 4)
	for i, what := range []string{`"type":"list"`, `"messageID":"msg_`, `"messageID":"msg_`, `"type":"result"`} {
		require.Contains(t, curl(t, lines[i][1]), what)
	}
	for _, what := range []string{`customer → relay       "Is it there yet?"`, `agent → relay          "Nearly."`, `agent → relay          "And one in green."`} {
		shows(what)
	}
	interrupt()
	require.Equal(t, exitDone, <-code, errs.String())
	require.NoDirExists(t, demoDir(t, out.String()))
}

package sink_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"omnirelay/relay/sink"
	"omnirelay/signer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves the sink and gives its URL and a client without keep-alive surprises.
func start(t *testing.T, s *sink.Sink) (url string, client *http.Client) {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return server.URL, &http.Client{Transport: transport}
}

func body(conversation string, sequence int) string {
	name, _ := json.Marshal(conversation) // a string: cannot fail
	return fmt.Sprintf(`{"type":"message.outbound","data":{"channelID":1001,"conversation":%s,"sequence":%d,"message":"Hello"}}`, name, sequence)
}

// send posts one webhook and gives its status, or 0 when no answer came.
func send(t *testing.T, client *http.Client, url, id, body string, secrets ...signer.Secret) int {
	t.Helper()
	status, _ := exchange(t, client, url, id, body, secrets...)
	return status
}

func exchange(t *testing.T, client *http.Client, url, id, body string, secrets ...signer.Secret) (int, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/hook", strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	signer.SetHeaders(r.Header, id, time.Now(), []byte(body), secrets...)
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header
}

func fault(t *testing.T, text string) sink.Fault {
	t.Helper()
	f, err := sink.ParseFault(text)
	require.NoError(t, err)
	return f
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	ours, theirs := signer.NewSecret(), signer.NewSecret()
	s := sink.New(sink.Options{Secrets: []signer.Secret{ours}})
	url, client := start(t, s)
	require.Equal(t, 200, send(t, client, url, "a", body("c", 1), ours))
	require.Equal(t, 200, send(t, client, url, "b", body("c", 2), theirs, ours), "rotation")
	require.Equal(t, 401, send(t, client, url, "c", body("c", 3), theirs))
	require.Equal(t, 401, send(t, client, url, "d", body("c", 4)))
	stats := s.Stats()
	require.Equal(t, 4, stats.Requests)
	require.Equal(t, 2, stats.Messages)
	require.Equal(t, 2, stats.Accepted)
	require.Equal(t, 1, stats.BadSignature)
	require.Equal(t, 1, stats.Unsigned)
	require.Equal(t, map[string]int{"200": 2, "401": 2}, stats.Answers)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults []string
		want   []int // statuses of one request after the other; 0 for none
	}{
		"none":                       {nil, []int{200, 200}},
		"always":                     {[]string{"503"}, []int{503, 503}},
		"the first three":            {[]string{"503x3"}, []int{503, 503, 503, 200, 200}},
		"one list after another":     {[]string{"503x2", "410x1"}, []int{503, 503, 410, 200}},
		"every third":                {[]string{"500/3"}, []int{200, 200, 500, 200, 200, 500}},
		"closed before the body":     {[]string{"closex1"}, []int{0, 200}},
		"closed after the body":      {[]string{"close-afterx2"}, []int{0, 0, 200}},
		"no content is an answer":    {[]string{"204x1"}, []int{204, 200}},
		"a redirect":                 {[]string{"304x1"}, []int{304, 200}},
		"slow answers are good ones": {[]string{"slow=1msx1"}, []int{200, 200}},
		"a certain chance":           {[]string{"503@1"}, []int{503, 503}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var faults []sink.Fault
			for _, f := range c.faults {
				faults = append(faults, fault(t, f))
			}
			s := sink.New(sink.Options{Faults: faults})
			url, client := start(t, s)
			for i, want := range c.want {
				require.Equal(t, want, send(t, client, url, fmt.Sprint("m", i), body("c", i+1)), "request %d", i+1)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	url, client := start(t, sink.New(sink.Options{Faults: []sink.Fault{fault(t, "429+1m30s")}}))
	status, header := exchange(t, client, url, "a", body("c", 1))
	require.Equal(t, 429, status)
	require.Equal(t, "90", header.Get("Retry-After"))
}

func TestChanceIsTheSameForTheSameSeed(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) (statuses []int) {
		s := sink.New(sink.Options{Seed: seed, Faults: []sink.Fault{fault(t, "503@0.5")}})
		url, client := start(t, s)
		for i := range 32 {
			statuses = append(statuses, send(t, client, url, fmt.Sprint("m", i), body("c", i+1)))
		}
		return statuses
	}
	first := run(1)
	require.Contains(t, first, 200)
	require.Contains(t, first, 503)
	require.Equal(t, first, run(1))
	require.NotEqual(t, first, run(2))
}

func TestMisbehaveReplacesTheFaults(t *testing.T) {
	t.Parallel()
	s := sink.New(sink.Options{Faults: []sink.Fault{fault(t, "503")}})
	url, client := start(t, s)
	require.Equal(t, 503, send(t, client, url, "a", body("c", 1)))
	s.Misbehave()
	require.Equal(t, 200, send(t, client, url, "a", body("c", 1)))
	s.Misbehave(fault(t, "410"))
	require.Equal(t, 410, send(t, client, url, "b", body("c", 2)))
}

func TestOrderAndRepeats(t *testing.T) {
	t.Parallel()
	type step struct {
		id, conversation string
		sequence         int
		fails            bool
	}
	for name, c := range map[string]struct {
		steps                        []step
		retries, repeats, outOfOrder int
	}{
		"in order":                       {[]step{{"a", "c", 1, false}, {"b", "c", 5, false}, {"c", "c", 6, false}}, 0, 0, 0},
		"conversations are independent":  {[]step{{"a", "c", 9, false}, {"b", "d", 2, false}}, 0, 0, 0},
		"a first sight goes back":        {[]step{{"a", "c", 2, false}, {"b", "c", 1, false}}, 0, 0, 1},
		"two with one number":            {[]step{{"a", "c", 1, false}, {"b", "c", 1, false}}, 0, 0, 1},
		"a retry":                        {[]step{{"a", "c", 1, true}, {"a", "c", 1, false}, {"b", "c", 2, false}}, 1, 0, 0},
		"passed by a later one":          {[]step{{"a", "c", 1, true}, {"b", "c", 2, false}, {"a", "c", 1, false}}, 1, 0, 1},
		"passed over for good":           {[]step{{"a", "c", 1, true}, {"b", "c", 2, false}}, 0, 0, 0},
		"a repeat":                       {[]step{{"a", "c", 1, false}, {"a", "c", 1, false}}, 0, 1, 0},
		"a repeat of an older one":       {[]step{{"a", "c", 1, false}, {"b", "c", 2, false}, {"a", "c", 1, false}}, 0, 1, 0},
		"late twice is counted once":     {[]step{{"a", "c", 2, false}, {"b", "c", 1, true}, {"b", "c", 1, false}}, 1, 0, 1},
		"without a conversation":         {[]step{{"a", "", 2, false}, {"b", "", 1, false}}, 0, 0, 0},
		"refused later ones do not pass": {[]step{{"a", "c", 1, true}, {"b", "c", 2, true}, {"a", "c", 1, false}, {"b", "c", 2, false}}, 2, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sink.New(sink.Options{})
			url, client := start(t, s)
			for _, step := range c.steps {
				s.Misbehave()
				want := 200
				if step.fails {
					s.Misbehave(fault(t, "503"))
					want = 503
				}
				require.Equal(t, want, send(t, client, url, step.id, body(step.conversation, step.sequence)))
			}
			stats := s.Stats()
			require.Equal(t, c.retries, stats.Retries, "retries")
			require.Equal(t, c.repeats, stats.Repeats, "repeats")
			require.Equal(t, c.outOfOrder, stats.OutOfOrder, "out of order")
			require.Zero(t, stats.Forgotten)
		})
	}
}

func TestDirectionsAreNumberedByThemselves(t *testing.T) {
	t.Parallel()
	s := sink.New(sink.Options{})
	url, client := start(t, s)
	require.Equal(t, 200, send(t, client, url, "a", body("c", 9)))
	require.Equal(t, 200, send(t, client, url, "b", strings.Replace(body("c", 1), "outbound", "inbound", 1)))
	require.Zero(t, s.Stats().OutOfOrder)
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	s := sink.New(sink.Options{Remember: 10})
	url, client := start(t, s)
	for i := range 100 {
		require.Equal(t, 200, send(t, client, url, fmt.Sprint("m", i), body(fmt.Sprint("c", i), 1)))
	}
	require.Equal(t, 180, s.Stats().Forgotten, "90 messages and 90 conversations")
	require.Equal(t, 200, send(t, client, url, "m99", body("c99", 1)))
	require.Equal(t, 1, s.Stats().Repeats, "remembered")
	require.Equal(t, 200, send(t, client, url, "m0", body("c0", 1)))
	require.Equal(t, 1, s.Stats().Repeats, "forgotten")
}

func TestRequestsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := sink.New(sink.Options{BodyLimit: 100})
	url, client := start(t, s)
	require.Equal(t, 413, send(t, client, url, "a", strings.Repeat("x", 101)))
	require.Equal(t, 400, send(t, client, url, "b", "{"))
	require.Equal(t, 400, send(t, client, url, "", "{}"))
	require.Equal(t, 3, s.Stats().Unreadable)
	require.Zero(t, s.Stats().Messages)

	// Another content type is none of our business.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("a=b"))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Webhook-Id", "c")
	resp, err := client.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 200, resp.StatusCode)
}

func TestOtherMethods(t *testing.T) {
	t.Parallel()
	url, client := start(t, sink.New(sink.Options{Faults: []sink.Fault{fault(t, "503")}}))
	for method, want := range map[string]int{http.MethodOptions: 204, http.MethodGet: 405, http.MethodDelete: 405, http.MethodPut: 405} {
		r, err := http.NewRequestWithContext(t.Context(), method, url+"/hook", nil)
		require.NoError(t, err)
		resp, err := client.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, resp.StatusCode, method)
		require.Equal(t, "POST, OPTIONS", resp.Header.Get("Allow"), method)
	}
	resp, err := client.Get(url + "/stats")
	require.NoError(t, err)
	defer resp.Body.Close()
	var stats sink.Stats
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&stats))
	require.Zero(t, stats.Requests)
}

// lines is a writer for several goroutines.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestLinesForPeople(t *testing.T) {
	t.Parallel()
	secret := signer.NewSecret()
	var out lines
	s := sink.New(sink.Options{Out: &out, Secrets: []signer.Secret{secret}, Faults: []sink.Fault{fault(t, "503x1")}})
	url, client := start(t, s)
	send(t, client, url, "msg_2", body("ticket:7", 2), secret)
	send(t, client, url, "msg_2", body("ticket:7", 2), secret)
	send(t, client, url, "msg_1", body("ticket:7\x1b[2J", 1), secret)
	send(t, client, url, "msg_0", body("ticket:7", 1), secret)
	send(t, client, url, "msg_9", body("ticket:7", 9))
	got := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, got, 5)
	for i, want := range []string{
		`503         msg_2 message.outbound channel 1001 ticket:7 #2 verified "Hello"`,
		`200         msg_2 message.outbound channel 1001 ticket:7 #2 verified RETRY "Hello"`,
		`200         msg_1 message.outbound channel 1001 "ticket:7\x1b[2J" #1 verified "Hello"`,
		`200         msg_0 message.outbound channel 1001 ticket:7 #1 verified OUT OF ORDER "Hello"`,
		`401         msg_9 NOT VERIFIED the request carries no v1 signature`,
	} {
		require.Equal(t, want, got[i][len("15:04:05.000 "):])
	}
	var report strings.Builder
	_, err := s.Stats().WriteTo(&report)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf(`5 requests, 3 messages, 3 accepted, %d bytes
1 retries, 0 repeats, 1 out of order
1 unsigned, 0 bad signatures, 0 unreadable
answers: 200 ×3, 401 ×1, 503 ×1
`, s.Stats().Bytes), report.String())
}

func TestLinesForPrograms(t *testing.T) {
	t.Parallel()
	var out lines
	url, client := start(t, sink.New(sink.Options{Out: &out, JSON: true, Faults: []sink.Fault{fault(t, "close-after/2")}}))
	send(t, client, url, "msg_1", body("ticket:7", 1))
	send(t, client, url, "msg_2", body("ticket:7", 2))
	decoder := json.NewDecoder(strings.NewReader(out.String()))
	var first, second map[string]any
	require.NoError(t, decoder.Decode(&first))
	require.NoError(t, decoder.Decode(&second))
	require.ErrorIs(t, decoder.Decode(&second), io.EOF)
	require.Equal(t, "200", first["answer"])
	require.Equal(t, "msg_1", first["id"])
	require.Equal(t, "ticket:7", first["conversation"])
	require.InEpsilon(t, 1, first["sequence"], 0)
	require.Equal(t, "first", first["sight"])
	require.Equal(t, "unsigned", first["signature"])
	require.Equal(t, "/hook", first["path"])
	require.Equal(t, body("ticket:7", 1), first["body"])
	require.Equal(t, "close-after", second["answer"])
}

func TestServeEndsWithItsContextThoughRequestsHang(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := sink.New(sink.Options{Faults: []sink.Fault{fault(t, "hang")}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, listener) }()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	answered := make(chan error)
	go func() {
		resp, err := (&http.Client{Transport: transport}).Post("http://"+listener.Addr().String(), "application/json", strings.NewReader("{"))
		if err == nil {
			err = errors.Join(resp.Body.Close(), errors.New("there was an answer"))
		}
		answered <- err
	}()
	// The unreadable body is refused at once; what hangs is a whole message.
	require.ErrorContains(t, <-answered, "there was an answer")
	hung := make(chan int)
	go func() {
		r, _ := http.NewRequest(http.MethodPost, "http://"+listener.Addr().String(), strings.NewReader(body("c", 1)))
		r.Header.Set("Webhook-Id", "a")
		resp, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			hung <- 0
			return
		}
		_ = resp.Body.Close()
		hung <- resp.StatusCode
	}()
	require.Eventually(t, func() bool { return s.Stats().Messages == 1 }, time.Minute, time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
	require.Zero(t, <-hung, "no answer")
	require.Equal(t, map[string]int{"400": 1, "hang": 1}, s.Stats().Answers)
}

func TestServeSaysThatItCannot(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	require.ErrorContains(t, sink.New(sink.Options{}).Serve(t.Context(), listener), "receiving webhooks on")
}

func BenchmarkSink(b *testing.B) {
	secret := signer.NewSecret()
	s := sink.New(sink.Options{Secrets: []signer.Secret{secret}})
	text := []byte(body("c", 1))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(text))
		r.Header.Set("Content-Type", "application/json")
		signer.SetHeaders(r.Header, fmt.Sprint("m", i), time.Now(), text, secret)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}

func TestAConnectionThatIsNeverUsedDoesNotSpoilTheEnd(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- sink.New(sink.Options{}).Serve(ctx, listener) }()
	unused, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	defer unused.Close()
	// A second connection is answered, so the first has been accepted.
	resp, err := http.Get("http://" + listener.Addr().String() + "/stats")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	stop()
	require.NoError(t, <-ended)
}

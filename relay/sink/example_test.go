package sink_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"omnirelay/relay/sink"
)

func Example() {
	refuse, err := sink.ParseFault("503x1") // the first request only
	if err != nil {
		fmt.Println(err)
		return
	}
	receiver := sink.New(sink.Options{Faults: []sink.Fault{refuse}})
	server := httptest.NewServer(receiver)
	defer server.Close()

	for range 2 {
		r, _ := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(`{"type":"message.outbound"}`))
		r.Header.Set("Webhook-Id", "msg_1")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = resp.Body.Close()
		fmt.Println(resp.StatusCode)
	}
	_, _ = receiver.Stats().WriteTo(os.Stdout)
	http.DefaultClient.CloseIdleConnections()
	// Output:
	// 503
	// 200
	// 2 requests, 1 messages, 1 accepted, 54 bytes
	// 1 retries, 0 repeats, 0 out of order
	// 0 unsigned, 0 bad signatures, 0 unreadable
	// answers: 200 ×1, 503 ×1
}

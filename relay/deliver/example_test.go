package deliver_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"omnirelay/relay"
	"omnirelay/relay/deliver"
	"omnirelay/relay/egress"
	"omnirelay/signer"
)

// shop sends every message to one endpoint.
type shop struct{ target deliver.Target }

func (s shop) Resolve(context.Context, *relay.Entry) (deliver.Target, error) { return s.target, nil }

func ExampleDeliverer_Deliver() {
	secret := signer.NewSecret()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := signer.Verify(r.Header, body, time.Now(), secret); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, "thank you")
	}))
	defer receiver.Close()
	transport := egress.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}).Transport()
	defer transport.CloseIdleConnections()

	d := deliver.New(deliver.Options{
		Transport: transport,
		Resolver:  shop{deliver.Target{URL: receiver.URL, Secrets: []signer.Secret{secret}}},
	})
	result := d.Deliver(context.Background(), &relay.Entry{
		Message:  relay.Message{ID: relay.NewID(), Type: "message.outbound", AcceptedAt: time.Now(), Text: "Hello"},
		Position: 1,
	})
	fmt.Println(result.Reason, result.Status, result.Response)
	// Output: ok 200 thank you
}

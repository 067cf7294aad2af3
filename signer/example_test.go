package signer_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"omnirelay/signer"
)

func ExampleSetHeaders() {
	secret, err := signer.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		fmt.Println(err)
		return
	}
	header, body := http.Header{}, []byte(`{"test": 2432232314}`)
	signer.SetHeaders(header, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), body, secret)
	fmt.Println(header.Get("webhook-id"))
	fmt.Println(header.Get("webhook-timestamp"))
	fmt.Println(header.Get("webhook-signature"))
	// Output:
	// msg_p5jXN8AQM9LWM0D4loKWxJek
	// 1614265330
	// v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=
}

// A receiver reads the whole body, within a limit, before it looks inside.
func ExampleVerify() {
	secret, err := signer.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		fmt.Println(err)
		return
	}
	http.HandleFunc("POST /webhook", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "cannot read the body", http.StatusBadRequest)
			return
		}
		if err := signer.Verify(r.Header, body, time.Now(), secret); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		// Handle the message unless its webhook-id came before, then:
		w.WriteHeader(http.StatusNoContent)
	})

	header, body := http.Header{}, []byte("hello")
	signer.SetHeaders(header, "msg_1", time.Now(), body, secret)
	fmt.Println(signer.Verify(header, body, time.Now(), secret))
	fmt.Println(signer.Verify(header, []byte("hullo"), time.Now(), secret))
	// Output:
	// <nil>
	// no signature matches
}

// While a secret is rotated the sender signs with both, so that receivers may change over at
// any moment in between.
func ExampleSign_rotation() {
	before, after := signer.NewSecret(), signer.NewSecret()
	now, body := time.Now(), []byte("hello")
	header := http.Header{}
	signer.SetHeaders(header, "msg_1", now, body, after, before)

	fmt.Println(signer.Verify(header, body, now, before))
	fmt.Println(signer.Verify(header, body, now, after))
	fmt.Println(errors.Is(signer.Verify(header, body, now, signer.NewSecret()), signer.ErrNoMatch))
	// Output:
	// <nil>
	// <nil>
	// true
}

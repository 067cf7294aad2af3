// Package signer signs webhook requests and verifies their signatures by Standard Webhooks
// 1.0.0 (https://www.standardwebhooks.com), with the symmetric scheme v1: HMAC-SHA256.
//
// A signed request carries three headers. The webhook-id names the message and stays the
// same over every retry, so a receiver that remembers ids handles each message once. The
// webhook-timestamp is the time of this attempt in Unix seconds. The webhook-signature is a
// space-separated list of "v1," and the base64 HMAC of "id.timestamp.body"; there is one
// signature for each secret, so that a secret can be rotated without a gap: send with both,
// wait until every receiver has the new one, then send with the new one alone.
//
// A receiver needs this package only: read the whole body, call Verify, answer 2xx.
// It depends on nothing but the standard library.
package signer

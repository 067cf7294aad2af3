// Package deliver makes one attempt at delivering a message: it asks where the message goes
// now, renders and signs it, POSTs it once, and says what that came to. Whether and when to
// try again is decided elsewhere.
//
// # What a receiver gets
//
// A receiver gets a POST with a Content-Length, the header "User-Agent: omnirelay/<version>"
// and the headers of Standard Webhooks 1.0.0: webhook-id (the message's id, the same over
// all attempts), webhook-timestamp (this attempt) and, where a secret is set,
// webhook-signature. The body of a channel's endpoint or of a webhook helpdesk is the JSON of
// [JSON].
//
// # What a receiver may answer
//
// Any 2xx means that the message arrived, and settles it as soon as the status line is
// there, whatever becomes of the answer's body. A redirect is a failure and never followed:
// it would hand a signed message to a host that nobody chose. With 429 and 503 a Retry-After
// header is heeded, up to a day. At most 64 KiB of the answer's body are read and 1 KiB of
// it is kept for operators.
package deliver

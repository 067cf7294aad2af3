// Package api is the relay's HTTP surface: the helpdesk's dialect under /api/v2, the
// channel hooks under /hooks and the relay's own calls under /relay/v1. It appends to the
// message log and reads the logs; it delivers nothing.
//
// A call is one row of the route table (routes.go): its permission, its fields and its
// handler. The same table makes the OpenAPI description at /openapi.json and the page at
// /docs, so that neither can miss a call.
//
// # What differs from the helpdesk
//
// The calls under /api/v2 take what the published Omnidesk API takes, with these
// differences, each so that nothing is lost or refused without need:
//
//   - POST /api/v2/message asks for no minimum of five characters: it would refuse "ok".
//     It takes a message without ticketID when toAddress says whom it is for, and the fields
//     title, fromAddress and signature besides. ccInput, bccInput, plaintext,
//     respondMessageID and submitStatus mean nothing on a custom channel and are left out;
//     forwardedFileIDs would change what is sent, and is refused. Files come as attachments[].
//   - A chat account must be known to the relay before its token is good for anything, also
//     with a helpdesk behind: the account says where replies may go.
//   - A chatSessionID has at most 65 characters in every call that begins a session.
//   - Fields that a call does not know are let pass under /api/v2 and /hooks, because a
//     helpdesk may send more than it documents; another spelling of a known field is refused
//     rather than overlooked. Under /relay/v1 every unknown field is refused.
//   - An empty text is a field that is not given, except where empty is a documented
//     default that an update may go back to (custom_channel_secret and the warnings).
//
// # Idempotency
//
// The calls that accept a message take an Idempotency-Key header of 1 to 255 printable
// ASCII characters, or a field messageID in its place. The same key again, for the same call
// and the same channel (or ticket, when no channel is given), is answered with the first
// message's id and "duplicate": true, whatever the rest of the request says, for as long as
// the queue's idempotency window.
package api

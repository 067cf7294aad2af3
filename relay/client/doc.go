// Package client is the relay's HTTP API as Go sees it: the shapes of its answers, which
// the server uses too, and a client that the command line, the tests and other programs use.
//
// A Client is safe for concurrent use. Every call takes a context; every refusal of the
// relay is an *Error with its status, code and fields.
package client

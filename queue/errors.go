package queue

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/nats-io/nats.go/jetstream"
)

// The errors that callers tell apart.
var (
	// ErrFull means that the disk or the stream's limit is reached. Nothing was stored;
	// it passes by itself as messages are delivered and history ages.
	ErrFull = errors.New("the message store is full")
	// ErrMessageTooLarge means that the message is larger than a record of the log may be.
	ErrMessageTooLarge = errors.New("the message is larger than the message store takes")
	// ErrUnavailable means that JetStream did not acknowledge in time. The message may or
	// may not be stored; the same dedupe key makes asking again safe.
	ErrUnavailable = errors.New("the message store does not answer")
	// ErrNotFound means that no message of this id is in the log: it never was, or its
	// history has ended.
	ErrNotFound = errors.New("no such message")
	// ErrUndecodable means that a stored record is not what this version can read.
	ErrUndecodable = errors.New("stored record cannot be decoded")
	// ErrBadCursor means that a paging cursor is not one that this API gave out.
	ErrBadCursor = errors.New("unknown paging cursor")
	// ErrConflict means that somebody else changed the same record first.
	ErrConflict = errors.New("changed by somebody else meanwhile")
)

// Error codes of the JetStream API (nats-server, server/errors.json).
const (
	codeInsufficientResources = 10023
	codeStorageExceeded       = 10047
	codeStoreFailed           = 10077 // the description says why: maximum bytes, no space
	codeTooLarge              = 10054
	codeDuplicateUnderWay     = 10158 // another append with the same dedupe key is not through yet
)

func storeError(err error) error {
	if err == nil {
		return nil
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	switch {
	case api.ErrorCode == codeInsufficientResources, api.ErrorCode == codeStorageExceeded, api.ErrorCode == codeStoreFailed:
		return fmt.Errorf("%w: %w", ErrFull, err)
	case api.ErrorCode == codeTooLarge:
		return fmt.Errorf("%w: %w", ErrMessageTooLarge, err)
	case api.ErrorCode == codeDuplicateUnderWay, api.Code >= http.StatusInternalServerError, api.Code == http.StatusTooManyRequests:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("storing: %w", err)
}

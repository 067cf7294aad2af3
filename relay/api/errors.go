package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"omnirelay/endpoints"
	"omnirelay/queue"
	"omnirelay/relay"
	"omnirelay/relay/auth"
	"omnirelay/relay/chat"
	"omnirelay/relay/client"
	"omnirelay/relay/helpdesk"
)

// Error is a refusal: what the client sees, and the cause, which only the log sees.
type Error struct {
	Status     int                // HTTP status
	Code       string             // stable, for programs
	Message    string             // a sentence for people
	Fields     []relay.FieldError // which field breaks which rule
	RetryAfter time.Duration      // sent as Retry-After; 0 sends none
	cause      error
}

// Error is the sentence with the fields and the cause, for the log.
func (e *Error) Error() string {
	text := e.Message
	if len(e.Fields) > 0 {
		text += " " + relay.Problems(e.Fields).Error()
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is the same refusal, by its code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// because returns a copy of the refusal with its cause.
func (e *Error) because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// saying returns a copy of the refusal with a sentence of its own.
func (e *Error) saying(format string, args ...any) *Error {
	c := *e
	c.Message = fmt.Sprintf(format, args...)
	return &c
}

// The catalogue: every refusal there is. Codes never change their meaning.
var (
	errFields      = &Error{Status: http.StatusBadRequest, Code: "invalid_field", Message: "A field is missing or has a value that it cannot have."}
	errMalformed   = &Error{Status: http.StatusBadRequest, Code: "malformed_request", Message: "The request cannot be read."}
	errManyFields  = &Error{Status: http.StatusBadRequest, Code: "too_many_fields", Message: "The request has more than 1000 fields."}
	errNoKey       = &Error{Status: http.StatusUnauthorized, Code: "key_missing", Message: "The call needs an API key; send it in the header apiKey."}
	errUnknownKey  = &Error{Status: http.StatusUnauthorized, Code: "key_unknown", Message: "The API key is not known; send a valid one in the header apiKey."}
	errRevokedKey  = &Error{Status: http.StatusUnauthorized, Code: "key_revoked", Message: "The API key was revoked; send a valid one in the header apiKey."}
	errSignature   = &Error{Status: http.StatusUnauthorized, Code: "signature_invalid", Message: "The webhook signature does not verify with the channel's secret."}
	errPermission  = &Error{Status: http.StatusForbidden, Code: "permission_missing", Message: "The API key lacks a permission."}
	errChannel     = &Error{Status: http.StatusForbidden, Code: "channel_forbidden", Message: "The API key is limited to other channels."}
	errNoRoute     = &Error{Status: http.StatusNotFound, Code: "route_not_found", Message: "There is no such call; /docs lists them."}
	errNotFound    = &Error{Status: http.StatusNotFound, Code: "not_found", Message: "There is no such record."}
	errMethod      = &Error{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Message: "The path does not take this method; the header Allow lists those it takes."}
	errConflict    = &Error{Status: http.StatusConflict, Code: "conflict", Message: "Somebody else changed the same record; look at it and try again."}
	errTooLarge    = &Error{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Message: "The body is too large."}
	errContentType = &Error{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Message: "The body must be multipart/form-data, application/x-www-form-urlencoded or application/json, in UTF-8 and not compressed."}
	errInternal    = &Error{Status: http.StatusInternalServerError, Code: "internal", Message: "The relay failed; its log says why."}
	errFull        = &Error{Status: http.StatusServiceUnavailable, Code: "store_full", Message: "The message store is full; nothing was stored. Try again later.", RetryAfter: 30 * time.Second}
	errServer      = &Error{Status: http.StatusForbidden, Code: "chat_server_forbidden", Message: "The chat account does not allow this chatServer."}
	errMoved       = &Error{Status: http.StatusForbidden, Code: "chat_server_changed", Message: "The chat session belongs to another chatServer; only a server among the account's allowed_chat_servers can take it over, with a call that carries the chatAccountToken."}
	errTaken       = &Error{Status: http.StatusConflict, Code: "chat_session_taken", Message: "The chatSessionID belongs to a session of another chat account."}
	errLink        = &Error{Status: http.StatusForbidden, Code: "link_invalid", Message: "The address is not one that the relay made; use it exactly as it came."}
	errOldLink     = &Error{Status: http.StatusGone, Code: "link_expired", Message: "The address was good for some days, which are over."}
	errDesk        = &Error{Status: http.StatusServiceUnavailable, Code: "helpdesk_unavailable", Message: "The helpdesk does not answer this question now.", RetryAfter: 10 * time.Second}
	errDeskSaysNo  = &Error{Status: http.StatusBadRequest, Code: "helpdesk_refused", Message: "The helpdesk refuses the call."}
	errUnavailable = &Error{Status: http.StatusServiceUnavailable, Code: "store_unavailable", Message: "The store does not answer now. Try again, a message with the same Idempotency-Key.", RetryAfter: 2 * time.Second}
)

// catalogue lists the refusals for the API's description.
func catalogue() []*Error {
	return []*Error{
		errFields, errMalformed, errManyFields, errNoKey, errUnknownKey, errRevokedKey, errSignature, errPermission, errChannel,
		errNoRoute, errNotFound, errMethod, errConflict, errTooLarge, errContentType, errInternal, errFull, errUnavailable,
		errServer, errMoved, errTaken, errLink, errOldLink, errDesk, errDeskSaysNo,
	}
}

// badFields refuses a request for its fields.
func badFields(problems ...relay.FieldError) *Error {
	e := *errFields
	e.Fields = slices.Clone(problems)
	if len(problems) == 1 {
		e.Message = "The field " + problems[0].Error() + "."
		return &e
	}
	names := make([]string, len(problems))
	for i, p := range problems {
		names[i] = p.Field
	}
	slices.Sort(names)
	e.Message = "These fields are missing or have values that they cannot have: " + strings.Join(slices.Compact(names), ", ") + "."
	return &e
}

func badField(name, rule string) *Error {
	return badFields(relay.FieldError{Field: name, Rule: rule})
}

// asError finds the refusal that any error of a handler stands for.
func asError(err error) *Error {
	if refusal, ok := errors.AsType[*Error](err); ok {
		return refusal
	}
	if problems, ok := errors.AsType[relay.Problems](err); ok {
		return badFields(problems...).because(nil)
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errTooLarge.saying("The body is larger than %d bytes.", tooLarge.Limit)
	}
	for _, known := range []struct {
		target  error
		refusal *Error
	}{
		{helpdesk.ErrContentType, errContentType},
		{helpdesk.ErrTooManyFields, errManyFields},
		{queue.ErrFull, errFull},
		{queue.ErrUnavailable, errUnavailable},
		{queue.ErrConflict, errConflict},
		{endpoints.ErrConflict, errConflict},
		{queue.ErrNotFound, errNotFound},
		{endpoints.ErrNotFound, errNotFound},
		{auth.ErrNotFound, errNotFound},
		{chat.ErrNoAccount, errNotFound},
		{chat.ErrNoSession, errNoSession()},
		{chat.ErrSessionTaken, errTaken},
		{chat.ErrServerChanged, errMoved},
		{chat.ErrConflict, errConflict},
		{helpdesk.ErrFieldsTooLarge, errTooLarge},
		{queue.ErrTooLarge, errTooLarge},
	} {
		if errors.Is(err, known.target) {
			return known.refusal.because(err)
		}
	}
	if errors.Is(err, helpdesk.ErrMalformed) {
		return errMalformed.saying("The request cannot be read: %s.", strings.TrimPrefix(err.Error(), helpdesk.ErrMalformed.Error()+": "))
	}
	if errors.Is(err, queue.ErrBadCursor) {
		return badField("cursor", "must be the next of a page of the same list")
	}
	if router, ok := errors.AsType[*echo.HTTPError](err); ok {
		switch router.Code {
		case http.StatusNotFound:
			return errNoRoute
		case http.StatusMethodNotAllowed:
			return errMethod
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return errUnavailable.because(err)
	}
	return errInternal.because(err)
}

// render answers with the refusal.
func render(c echo.Context, e *Error) error {
	if e.RetryAfter > 0 {
		c.Response().Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter.Round(time.Second).Seconds())))
	}
	if e.Status == http.StatusUnauthorized {
		c.Response().Header().Set("WWW-Authenticate", `Bearer realm="omnirelay"`)
	}
	body := client.ErrorBody{Type: "error", Status: "error", Code: e.Code, Message: e.Message}
	for _, f := range e.Fields {
		body.Errors = append(body.Errors, client.ErrorField{Field: f.Field, Message: f.Rule})
	}
	return c.JSON(e.Status, body)
}

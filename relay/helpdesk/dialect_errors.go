package helpdesk

import (
	"errors"
	"fmt"
)

// The ways in which a body cannot be read at all. The errors of ParseBody wrap one of them,
// or are relay.Problems when a field can be named.
var (
	// ErrContentType: the body's media type is none of the three, or its charset is not UTF-8.
	ErrContentType = errors.New("the body must be multipart/form-data, application/x-www-form-urlencoded or application/json, in UTF-8")
	// ErrMalformed: the body is not what its Content-Type says.
	ErrMalformed = errors.New("the body cannot be read")
	// ErrTooManyFields: more fields than Limits.Fields.
	ErrTooManyFields = errors.New("the request has too many fields")
	// ErrFieldsTooLarge: the fields beside the files of an upload are larger than Upload.Fields.
	ErrFieldsTooLarge = errors.New("the fields beside the file are too large")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

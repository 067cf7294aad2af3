package api

import (
	"bytes"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"omnirelay/relay"
	"omnirelay/relay/auth"
	"omnirelay/relay/chat"
	"omnirelay/relay/helpdesk"
)

// route is one call: a row of the table.
type route struct {
	method     string
	path       string // Echo's notation: /channel/:id
	id         string // operation id, unique
	summary    string
	doc        string
	permission auth.Permission // "" lets everybody in
	input      helpdesk.Call
	raw        bool // the handler reads the fields itself, from request.body
	// gate, where set, refuses a request before its body is read.
	gate   func(*request) error
	unread bool      // the handler reads the body itself
	files  *fileRule // the call takes files; nil takes none
	answer any       // a zero value of what a 200 holds; nil for no JSON
	errors []*Error
	handle func(*request) error
}

// request is one call being served.
type request struct {
	echo.Context
	key     auth.Key
	values  helpdesk.Values    // checked against the route's input, unless the route is raw
	files   []relay.Attachment // stored; taken away again when the handler fails
	account chat.Account       // of a chat hook
	body    []byte             // valid until the handler returns
}

// handler chains what every call needs before its own work: who asks, may they, what do
// they say. The body is not read before the first two are settled.
func (a *API) handler(r route) echo.HandlerFunc {
	return func(c echo.Context) error {
		req := &request{Context: c}
		if r.permission != "" {
			if err := a.admit(req, r.permission); err != nil {
				return err
			}
		}
		if r.gate != nil {
			if err := r.gate(req); err != nil {
				return err
			}
		}
		return a.serve(req, r)
	}
}

// serve reads what the caller says and does the call's own work.
func (a *API) serve(req *request, r route) error {
	if r.files.streams(req) {
		return a.withFiles(req, r)
	}
	if hasBody(r.method) && !r.unread {
		buffer, err := a.read(req)
		defer a.keep(buffer)
		if err != nil {
			return err
		}
		req.body = buffer.Bytes()
	}
	if !r.raw {
		if err := req.decode(r); err != nil {
			return err
		}
	}
	return r.handle(req)
}

func hasBody(method string) bool { return method == http.MethodPost || method == http.MethodPut }

// read takes the whole body, up to the limit, into a buffer of the pool.
func (a *API) read(c echo.Context) (*bytes.Buffer, error) {
	buffer, ok := a.buffers.Get().(*bytes.Buffer)
	if !ok {
		buffer = new(bytes.Buffer)
	}
	buffer.Reset()
	r := c.Request()
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return buffer, errContentType
	}
	if r.ContentLength > a.o.BodyLimit {
		return buffer, errTooLarge.saying("The body is larger than %d bytes.", a.o.BodyLimit)
	}
	if r.ContentLength > 0 {
		// Not more at once than is kept anyway: the length is only a promise.
		buffer.Grow(min(int(r.ContentLength)+bytes.MinRead, keptBuffer))
	}
	if _, err := buffer.ReadFrom(http.MaxBytesReader(c.Response(), r.Body, a.o.BodyLimit)); err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return buffer, err
		}
		return buffer, errMalformed.saying("The body was cut off.").because(err)
	}
	return buffer, nil
}

// keptBuffer is the largest buffer that waits for another request, bytes.
const keptBuffer = 64 << 10

func (a *API) keep(buffer *bytes.Buffer) {
	if buffer.Cap() <= keptBuffer {
		a.buffers.Put(buffer)
	}
}

// decode reads and checks the fields.
func (r *request) decode(of route) error {
	req := r.Request()
	r.values = helpdesk.Values{}
	if hasBody(req.Method) {
		body, err := helpdesk.ParseBody(req.Header.Get("Content-Type"), r.body, helpdesk.DefaultLimits())
		if err != nil {
			return err
		}
		r.values = body
	}
	if (of.input.Query || !hasBody(req.Method)) && req.URL.RawQuery != "" {
		query, err := helpdesk.ParseQuery(req.URL.RawQuery, helpdesk.DefaultLimits())
		if err != nil {
			return err
		}
		delete(query, queryKey)
		if err := r.values.Merge(query); err != nil {
			return err
		}
	}
	return of.input.Check(r.values)
}

// messageID is the message's id in the path.
func (r *request) messageID() (relay.ID, error) {
	id, err := relay.ParseID(r.Param("id"))
	if err != nil {
		return "", badField("id", "in the path must be a message's id, msg_ and a UUIDv7")
	}
	return id, nil
}

// maxIdempotencyKey bounds an idempotency key, characters.
const maxIdempotencyKey = 255

// idempotencyKey is the header Idempotency-Key, else the field messageID, else "".
func (r *request) idempotencyKey() (string, error) {
	name, key := "messageID", r.values.Text("messageID")
	if values := r.Request().Header.Values("Idempotency-Key"); len(values) > 0 {
		name, key = "Idempotency-Key", values[0]
		if len(values) > 1 || key == "" {
			return "", badField(name, idempotencyRule)
		}
	}
	if key == "" {
		return "", nil
	}
	printable := !strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' })
	if len(key) > maxIdempotencyKey || !printable || key != strings.TrimSpace(key) {
		return "", badField(name, idempotencyRule)
	}
	return key, nil
}

const idempotencyRule = "must be given once, with 1 to 255 printable ASCII characters and no space at either end"

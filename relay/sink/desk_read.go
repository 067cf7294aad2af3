package sink

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"omnirelay/relay/helpdesk"
)

// read fills the line from a call and holds it to the call's rules. It returns the status to
// refuse it with, or 0.
func (d *Desk) read(w http.ResponseWriter, r *http.Request, l *line) (refusal int) {
	l.call.name = strings.TrimPrefix(strings.TrimSuffix(r.URL.Path, "/"), "/api/v2/")
	l.Type = l.call.name
	refusal, err := d.parse(w, r, &l.call)
	if err != nil {
		l.Problem = err.Error()
		d.ledger.count(func(c *Stats) { c.Unreadable++ })
		return refusal
	}
	v := l.call.values
	l.Conversation, l.Text, l.ChannelID = l.call.key(), v.Text("message"), v.Integer("channelID")
	l.Sequence = sequenceOf(l.ID)
	if l.ID == "" {
		// A caller other than the relay: there is nothing to know a repeat by.
		l.ID = "call-" + strconv.FormatInt(d.unnamed.Add(1), 10)
	}
	if l.call.file != nil {
		l.Text = fmt.Sprintf("%s, %d bytes", l.call.file.Name, l.call.file.Size)
	}
	return 0
}

// parse reads a call.
func (d *Desk) parse(w http.ResponseWriter, r *http.Request, c *deskCall) (status int, err error) {
	if !d.allowed(r) {
		return http.StatusUnauthorized, errors.New("the API key is missing or wrong")
	}
	rules := calls()[c.name]
	if c.name == "chat/addAttachment" {
		c.values, c.file, err = d.upload(r)
	} else {
		var body []byte
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, d.bodyLimit))
		d.ledger.count(func(s *Stats) { s.Bytes += int64(len(body)) })
		if err == nil {
			c.values, err = helpdesk.ParseBody(r.Header.Get("Content-Type"), body, helpdesk.DefaultLimits())
		}
	}
	if err == nil && rules.Query {
		err = mergeQuery(c.values, r.URL.RawQuery)
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large || errors.Is(err, errFileTooLarge) {
		return http.StatusRequestEntityTooLarge, err
	}
	if err != nil {
		return http.StatusBadRequest, err
	}
	if c.name == "chat/addAttachment" && c.file == nil {
		return http.StatusBadRequest, errors.New("file is required")
	}
	if err := rules.Check(c.values); err != nil {
		return http.StatusBadRequest, err
	}
	if session := c.values.Text("chatSessionID"); session != "" && !c.values.Given("message") && c.file == nil && !d.known(session) {
		// The calls without a token make sense after the first message only.
		return http.StatusBadRequest, fmt.Errorf("session %s does not exist", session)
	}
	return 0, nil
}

func mergeQuery(v helpdesk.Values, raw string) error {
	query, err := helpdesk.ParseQuery(raw, helpdesk.DefaultLimits())
	if err != nil {
		return err
	}
	delete(query, "apiKey")
	return v.Merge(query)
}

var errFileTooLarge = errors.New("the file is too large")

// upload reads a call with a file, of which it keeps the digest.
func (d *Desk) upload(r *http.Request) (helpdesk.Values, *File, error) {
	var file *File
	u := helpdesk.Upload{Names: []string{"file"}, Text: true, FieldBytes: d.bodyLimit, Limits: helpdesk.DefaultLimits()}
	v, err := helpdesk.ReadUpload(r.Header.Get("Content-Type"), r.Body, u, func(f helpdesk.IncomingFile, _ helpdesk.Values) error {
		sum := sha256.New()
		n, err := io.Copy(sum, io.LimitReader(f.Content, d.fileLimit+1))
		d.ledger.count(func(s *Stats) { s.Bytes += n })
		if err == nil && n > d.fileLimit {
			err = errFileTooLarge
		}
		file = &File{Name: f.Name, ContentType: f.ContentType, Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}
		return err
	})
	return v, file, err
}

func refuse(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]string{"status": "error", "type": "error", "message": message})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	writeBody(w, v)
}

// writeBody writes what is left to write of an answer.
func writeBody(w io.Writer, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)           // texts, numbers and lists of them: cannot fail
	_, _ = w.Write(b.Bytes()) // fails only when the caller has gone
}

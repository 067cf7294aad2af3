package helpdesk

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"omnirelay/relay"
)

// Limits bound what a request may hold. The size of the body is bounded by whoever reads it.
type Limits struct {
	Fields int // how many fields; default 1000
	Name   int // bytes of a field's name; default 128
}

// DefaultLimits are the limits that the relay uses.
func DefaultLimits() Limits { return Limits{Fields: 1000, Name: 128} }

// ParseBody reads the fields of a body in any of the three encodings into one form. Numbers,
// true and false of JSON become their text, null is a field that is not given. An empty body
// has no fields, whatever its type. Files in a multipart body are refused: a call that
// takes files streams them and does not come here.
func ParseBody(contentType string, body []byte, limits Limits) (Values, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return Values{}, nil
	}
	media, params := contentType, map[string]string(nil)
	if media != "application/json" { // as nearly all say, in so many words
		var err error
		if media, params, err = mime.ParseMediaType(contentType); err != nil {
			return nil, ErrContentType
		}
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		return nil, ErrContentType
	}
	c := collector{values: make(Values, 8), limits: limits}
	var err error
	switch {
	case media == "application/x-www-form-urlencoded":
		err = c.form(string(body))
	case media == "multipart/form-data":
		err = c.multipart(body, params["boundary"])
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		err = c.json(body)
	default:
		err = ErrContentType
	}
	if err != nil {
		return nil, err
	}
	return c.values, nil
}

// ParseQuery reads the fields of a URL's query.
func ParseQuery(query string, limits Limits) (Values, error) {
	c := collector{values: make(Values), limits: limits}
	if err := c.form(query); err != nil {
		return nil, err
	}
	return c.values, nil
}

// Merge adds the values of other, and refuses a field that both give.
func (v Values) Merge(other Values) error {
	for name, value := range other {
		if _, twice := v[name]; twice {
			return problem(clip(name), "is given twice, in the query and in the body")
		}
		v[name] = value
	}
	return nil
}

func problem(field, rule string) error {
	return relay.Problems{{Field: field, Rule: rule}}
}

// collector gathers fields and holds them to the limits.
type collector struct {
	values Values
	limits Limits
	seen   int             // fields so far, hollow ones included
	arrays map[string]int  // elements so far of name[]
	empty  map[string]bool // names that JSON gave null, an object or an array
}

// add takes one field.
func (c *collector) add(name, value string) error {
	if err := c.name(name); err != nil {
		return err
	}
	if !utf8.ValidString(value) {
		return problem(name, "is not valid UTF-8")
	}
	if strings.IndexByte(value, 0) >= 0 {
		return problem(name, "holds a NUL byte")
	}
	// name[] repeats: it is the notation of forms for a list.
	if base, ok := strings.CutSuffix(name, "[]"); ok {
		if c.arrays == nil {
			c.arrays = make(map[string]int)
		}
		name = base + "[" + strconv.Itoa(c.arrays[base]) + "]"
		c.arrays[base]++
	}
	if _, twice := c.values[name]; twice || c.empty[name] {
		return problem(name, "is given twice")
	}
	c.values[name] = value
	return nil
}

// hollow takes a name of JSON that has no value of its own: null, an object or an array.
func (c *collector) hollow(name string) error {
	if err := c.name(name); err != nil {
		return err
	}
	if _, twice := c.values[name]; twice || c.empty[name] {
		return problem(name, "is given twice")
	}
	if c.empty == nil {
		c.empty = make(map[string]bool)
	}
	c.empty[name] = true
	return nil
}

// name counts a field and checks its name.
func (c *collector) name(name string) error {
	if c.seen++; c.seen > c.limits.Fields {
		return ErrTooManyFields
	}
	switch {
	case name == "":
		return malformed("a field has no name")
	case len(name) > c.limits.Name:
		return problem(clip(strings.ToValidUTF8(name, "�")), "has a name of more than "+strconv.Itoa(c.limits.Name)+" bytes")
	case !utf8.ValidString(name):
		return malformed("the name of a field is not valid UTF-8")
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return malformed("the name of a field holds a control character")
	}
	return nil
}

// form reads name=value&… (WHATWG URL, application/x-www-form-urlencoded).
func (c *collector) form(text string) error {
	for pair := range strings.SplitSeq(text, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return malformed("a field's name has a broken percent escape")
		}
		value, err = url.QueryUnescape(value)
		if err != nil {
			return malformed("the value of %q has a broken percent escape", clip(name))
		}
		if err := c.add(name, value); err != nil {
			return err
		}
	}
	return nil
}

// multipart reads the parts of RFC 7578.
func (c *collector) multipart(body []byte, boundary string) error {
	if boundary == "" {
		return malformed("the Content-Type has no boundary")
	}
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) && c.ended(body, boundary) {
			return nil
		}
		if err != nil {
			return malformed("the multipart body is broken or cut off")
		}
		name := part.FormName()
		if part.FileName() != "" {
			return problem(clip(strings.ToValidUTF8(name, "�")), "is a file, which this call does not take")
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return malformed("the multipart body is broken or cut off")
		}
		if err := c.add(name, string(value)); err != nil {
			return err
		}
	}
}

// ended reports whether the body has its closing delimiter: without it, a body that was cut
// off between two parts could not be told from a whole one.
func (c *collector) ended(body []byte, boundary string) bool {
	return bytes.Contains(body, []byte("--"+boundary+"--"))
}

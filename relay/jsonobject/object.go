// Package jsonobject writes JSON objects by hand, member by member. It is for the few that are
// written for every message: its stored form, its delivery, the answer to its sender, and the
// records of its attempts. There reflection costs two to three times as much, and tests hold the
// result to what encoding/json makes of the same.
package jsonobject

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Object is an object that is being written. Names must need no quoting. The methods that begin
// with Some leave out what is zero.
type Object struct {
	buf []byte
	err error
}

// New begins an object of about size bytes.
func New(size int) Object { return Object{buf: append(make([]byte, 0, size), '{')} }

// Bytes ends the object. The error is the first that Value came upon.
func (o *Object) Bytes() ([]byte, error) { return append(o.buf, '}'), o.err }

func (o *Object) name(name string) {
	if o.buf[len(o.buf)-1] != '{' {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(o.buf, '"')
	o.buf = append(o.buf, name...)
	o.buf = append(o.buf, '"', ':')
}

// Begin begins a member that is an object itself; what follows belongs to it, up to End.
func (o *Object) Begin(name string) {
	o.name(name)
	o.buf = append(o.buf, '{')
}

// End ends what Begin began.
func (o *Object) End() { o.buf = append(o.buf, '}') }

// Text writes a string. What is no valid UTF-8 in it becomes U+FFFD, as in encoding/json; <, >
// and & stay as they are.
func (o *Object) Text(name, v string) {
	o.name(name)
	o.buf, _ = jsontext.AppendQuote(o.buf, v) // the error says that U+FFFD stands in for something
}

// SomeText is Text, but for "".
func (o *Object) SomeText(name, v string) {
	if v != "" {
		o.Text(name, v)
	}
}

// Int writes a whole number.
func (o *Object) Int(name string, v int64) {
	o.name(name)
	o.buf = strconv.AppendInt(o.buf, v, 10)
}

// SomeInt is Int, but for 0.
func (o *Object) SomeInt(name string, v int64) {
	if v != 0 {
		o.Int(name, v)
	}
}

// Uint writes a whole number, which may need 64 bits.
func (o *Object) Uint(name string, v uint64) {
	o.name(name)
	o.buf = strconv.AppendUint(o.buf, v, 10)
}

// SomeUint is Uint, but for 0.
func (o *Object) SomeUint(name string, v uint64) {
	if v != 0 {
		o.Uint(name, v)
	}
}

// Time writes a time in one of package time's layouts that need no quoting.
func (o *Object) Time(name string, v time.Time, layout string) {
	o.name(name)
	o.buf = append(o.buf, '"')
	o.buf = v.AppendFormat(o.buf, layout)
	o.buf = append(o.buf, '"')
}

// SomeTime is Time, but for the zero time.
func (o *Object) SomeTime(name string, v time.Time, layout string) {
	if !v.IsZero() {
		o.Time(name, v, layout)
	}
}

// Raw writes what is JSON already.
func (o *Object) Raw(name, v string) {
	o.name(name)
	o.buf = append(o.buf, v...)
}

// Value leaves to encoding/json what is rare.
func (o *Object) Value(name string, v any) {
	o.name(name)
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil && o.err == nil {
		o.err = err
	}
	o.buf = append(o.buf, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
}

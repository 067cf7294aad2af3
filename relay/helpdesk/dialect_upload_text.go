package helpdesk

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/url"
	"strconv"
	"unicode/utf8"
)

// base64Reader decodes base64 as senders write it: with or without padding and line breaks,
// in the alphabet of RFC 4648 section 4 or that of section 5.
type base64Reader struct {
	decoder io.Reader
	from    io.Reader
	padded  bool // an "=" came: only more of them and white space may follow
	corrupt bool
}

func newBase64Reader(from io.Reader) *base64Reader {
	b := &base64Reader{from: from}
	b.decoder = base64.NewDecoder(base64.RawStdEncoding, readerFunc(b.clean))
	return b
}

type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Read implements io.Reader.
func (b *base64Reader) Read(p []byte) (int, error) {
	n, err := b.decoder.Read(p)
	if _, bad := errors.AsType[base64.CorruptInputError](err); bad || errors.Is(err, io.ErrUnexpectedEOF) {
		b.corrupt = true
	}
	return n, err
}

// clean reads text for the decoder.
func (b *base64Reader) clean(p []byte) (int, error) {
	for {
		n, err := b.from.Read(p)
		kept := p[:0]
		for _, c := range p[:n] {
			switch c {
			case ' ', '\t', '\r', '\n':
				continue
			case '=':
				b.padded = true
				continue
			case '-':
				c = '+'
			case '_':
				c = '/'
			}
			if b.padded {
				b.corrupt = true
				return 0, base64.CorruptInputError(0)
			}
			kept = append(kept, c)
		}
		if len(kept) > 0 || err != nil {
			return len(kept), err
		}
	}
}

// form reads name=value&… of which a value may be a file.
func (r *uploadReader) form() error {
	in := bufio.NewReader(r.body)
	for {
		name, end, err := r.token(in, '=', '&')
		if err != nil {
			return err
		}
		switch {
		case end != '=' && name == "":
			// Nothing between two ampersands.
		case end != '=':
			if err := r.add(name, ""); err != nil {
				return err
			}
		case r.text(name):
			value := &formValue{in: in}
			err := r.file(name, "", "", value, true)
			if value.broken {
				return malformed("the value of %q has a broken percent escape", clip(name))
			}
			if err != nil {
				return err
			}
			end = value.end
		default:
			var value string
			if value, end, err = r.token(in, '&'); err != nil {
				return err
			}
			if err := r.add(name, value); err != nil {
				return err
			}
		}
		if end == 0 {
			return nil
		}
	}
}

// token reads up to one of the ends, which it returns; 0 stands for the body's end.
func (r *uploadReader) token(in *bufio.Reader, ends ...byte) (string, byte, error) {
	var raw []byte
	for {
		c, err := in.ReadByte()
		if err != nil && !errors.Is(err, io.EOF) {
			return "", 0, err
		}
		if err != nil || bytes.IndexByte(ends, c) >= 0 {
			text, bad := url.QueryUnescape(string(raw))
			if bad != nil {
				return "", 0, malformed("a field has a broken percent escape")
			}
			if err != nil {
				c = 0
			}
			return text, c, nil
		}
		if err := r.spend(1); err != nil {
			return "", 0, err
		}
		raw = append(raw, c)
	}
}

// formValue is one value of a form, up to the next ampersand. A plus sign stays one: it is a
// character of base64, and white space means nothing there.
type formValue struct {
	in     *bufio.Reader
	end    byte // '&', or 0 at the body's end
	done   bool
	broken bool
}

// Read implements io.Reader.
func (v *formValue) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && !v.done {
		copied, err := copyUntil(p[n:], v.in, "&%")
		n += copied
		switch {
		case errors.Is(err, io.EOF):
			v.done = true
		case err != nil:
			return n, err
		case copied > 0:
			continue
		}
		if v.done {
			break
		}
		c, err := v.in.ReadByte()
		if err != nil || c != '%' {
			v.done, v.end = true, '&'
			break
		}
		if c, err = v.escape(); err != nil {
			v.broken, v.done = true, true
			return n, io.ErrNoProgress
		}
		p[n] = c
		n++
	}
	if v.done {
		return n, io.EOF
	}
	return n, nil
}

// escape reads what follows a percent sign.
func (v *formValue) escape() (byte, error) {
	hex := make([]byte, 2)
	if _, err := io.ReadFull(v.in, hex); err != nil {
		return 0, err
	}
	x, err := strconv.ParseUint(string(hex), 16, 8)
	return byte(x), err
}

// copyUntil copies what is there, at least something, up to the first of the characters,
// which stays. It copies nothing when such a one comes next.
func copyUntil(p []byte, in *bufio.Reader, ends string) (int, error) {
	if _, err := in.Peek(1); err != nil {
		return 0, err
	}
	chunk, err := in.Peek(min(in.Buffered(), len(p)))
	if err != nil {
		return 0, err
	}
	if i := bytes.IndexAny(chunk, ends); i >= 0 {
		chunk = chunk[:i]
	}
	n := copy(p, chunk)
	_, err = in.Discard(n)
	return n, err
}

// json reads one object of which a text may be a file: the object's outermost level is taken
// apart here, whatever lies deeper is left to the collector.
func (r *uploadReader) json() error {
	in := bufio.NewReader(r.body)
	c, err := skipSpace(in)
	if err != nil || c != '{' {
		return malformed("the JSON must be one object")
	}
	for first := true; ; first = false {
		if c, err = skipSpace(in); err != nil {
			return malformed("the JSON is not well-formed")
		}
		if c == '}' && first {
			break
		}
		if c != '"' {
			return malformed("the JSON is not well-formed")
		}
		if c, err = r.member(in); err != nil {
			return err
		}
		if c == '}' {
			break
		}
		if c != ',' {
			return malformed("the JSON is not well-formed")
		}
	}
	if _, err := skipSpace(in); !errors.Is(err, io.EOF) {
		return malformed("the JSON must be one object")
	}
	return nil
}

// member reads one name and its value, from behind the name's first quote, and returns the
// character after it.
func (r *uploadReader) member(in *bufio.Reader) (byte, error) {
	raw := []byte{'{', '"'}
	raw, err := r.quoted(in, raw)
	if err != nil {
		return 0, err
	}
	c, err := skipSpace(in)
	if err != nil || c != ':' {
		return 0, malformed("the JSON is not well-formed")
	}
	if c, err = skipSpace(in); err != nil {
		return 0, malformed("the JSON is not well-formed")
	}
	// A name with an escape in it is none of ours.
	if name := string(raw[2 : len(raw)-1]); c == '"' && r.text(name) {
		value := &jsonText{in: in}
		err := r.file(name, "", "", value, true)
		if value.broken {
			return 0, malformed("the JSON is not well-formed")
		}
		if err != nil {
			return 0, err
		}
		return skipSpaceOr(in)
	}
	raw = append(raw, ':')
	depth := 0
	for {
		switch c {
		case '"':
			raw = append(raw, c)
			if raw, err = r.quoted(in, raw); err != nil {
				return 0, err
			}
		case ',', '}', ']':
			if depth == 0 {
				return c, r.collector.json(append(raw, '}'))
			}
			if c != ',' {
				depth--
			}
			raw = append(raw, c)
		case '{', '[':
			depth++
			raw = append(raw, c)
		default:
			raw = append(raw, c)
		}
		if err := r.spend(1); err != nil {
			return 0, err
		}
		if c, err = in.ReadByte(); err != nil {
			return 0, malformed("the JSON is not well-formed")
		}
	}
}

// quoted appends the rest of a string, its closing quote included, as it stands.
func (r *uploadReader) quoted(in *bufio.Reader, raw []byte) ([]byte, error) {
	for escaped := false; ; {
		c, err := in.ReadByte()
		if err != nil {
			return nil, malformed("the JSON is not well-formed")
		}
		if err := r.spend(1); err != nil {
			return nil, err
		}
		raw = append(raw, c)
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			return raw, nil
		}
	}
}

func skipSpace(in *bufio.Reader) (byte, error) {
	for {
		c, err := in.ReadByte()
		if err != nil {
			return 0, err
		}
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c, nil
		}
	}
}

func skipSpaceOr(in *bufio.Reader) (byte, error) {
	c, err := skipSpace(in)
	if err != nil {
		return 0, malformed("the JSON is not well-formed")
	}
	return c, nil
}

// jsonText is one string of JSON, from behind its first quote to its last.
type jsonText struct {
	in     *bufio.Reader
	done   bool
	broken bool
}

// Read implements io.Reader.
func (t *jsonText) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && !t.done {
		copied, err := copyUntil(p[n:], t.in, "\"\\")
		n += copied
		if err == nil && copied > 0 {
			continue
		}
		var c byte
		if err == nil {
			c, err = t.in.ReadByte()
		}
		switch {
		case err == nil && c == '"':
			t.done = true
			return n, io.EOF
		case err == nil:
			c, err = t.escape()
		}
		if err != nil {
			t.broken, t.done = true, true
			return n, io.ErrNoProgress
		}
		p[n] = c
		n++
	}
	if t.done {
		return n, io.EOF
	}
	return n, nil
}

// escape reads what follows a backslash. Base64 needs ASCII only.
func (t *jsonText) escape() (byte, error) {
	c, err := t.in.ReadByte()
	if err != nil {
		return 0, err
	}
	switch c {
	case '/', '"', '\\':
		return c, nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		hex := make([]byte, 4)
		if _, err := io.ReadFull(t.in, hex); err != nil {
			return 0, err
		}
		x, err := strconv.ParseUint(string(hex), 16, 16)
		if err != nil || x >= utf8.RuneSelf {
			return 0, io.ErrNoProgress
		}
		return byte(x), nil
	}
	return 0, io.ErrNoProgress
}

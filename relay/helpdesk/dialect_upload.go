package helpdesk

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// Upload says which files a call takes.
type Upload struct {
	// Names are the fields that may hold a file; in a multipart body each may also be
	// written as name[] and name[0]. None means any part that is a file.
	Names []string
	// Text lets a file be a text in base64 too, in any of the three encodings.
	Text bool
	// FieldBytes bounds all other fields together, bytes.
	FieldBytes int64
	Limits     Limits
}

// IncomingFile is a file of a request while it comes in.
type IncomingFile struct {
	Field       string
	Name        string // as the sender calls it, without a path; "file" when it has none
	ContentType string // as the sender says, else what the first bytes look like
	// Content is read once, and only until the function that got it returns.
	Content io.Reader
}

// ReadUpload reads a request with files. Each file is handed to take as it comes in, and
// none is ever held whole; so far are the fields before it. What take leaves unread is
// skipped. The errors are those of ParseBody, ErrFieldsTooLarge, what reading the body
// answers and what take returns, which ends the reading.
func ReadUpload(contentType string, body io.Reader, u Upload, take func(f IncomingFile, soFar Values) error) (Values, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, ErrContentType
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		return nil, ErrContentType
	}
	r := uploadReader{
		collector: collector{values: make(Values, 8), limits: u.Limits},
		upload:    u,
		left:      u.FieldBytes,
		body:      &watchedReader{r: body},
		take:      take,
	}
	switch {
	case media == "multipart/form-data":
		err = r.multipart(params["boundary"])
	case media == "application/x-www-form-urlencoded":
		err = r.form()
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		err = r.json()
	default:
		return nil, ErrContentType
	}
	if r.body.failed != nil {
		return nil, r.body.failed // whatever else it led to
	}
	if err != nil {
		return nil, err
	}
	return r.values, nil
}

// watchedReader remembers the error that a body ended with: a connection that broke, or a
// limit; and whether a mark came by.
type watchedReader struct {
	r      io.Reader
	failed error

	mark []byte // nil looks for none
	tail []byte // the last bytes, which may be the mark's beginning
	seen bool
}

// Read implements io.Reader.
func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if w.mark != nil && !w.seen {
		w.look(p[:n])
	}
	if err != nil && !errors.Is(err, io.EOF) {
		w.failed = err
	}
	return n, err
}

// look searches what came for the mark, also across two reads.
func (w *watchedReader) look(p []byte) {
	most := len(w.mark) - 1
	w.tail = append(w.tail, p[:min(len(p), most)]...)
	w.seen = bytes.Contains(w.tail, w.mark) || bytes.Contains(p, w.mark)
	if len(p) >= most {
		w.tail = append(w.tail[:0], p[len(p)-most:]...)
	} else if over := len(w.tail) - most; over > 0 {
		w.tail = append(w.tail[:0], w.tail[over:]...)
	}
}

// uploadReader reads one request.
type uploadReader struct {
	collector
	upload Upload
	left   int64 // bytes that fields which are no files may still have
	body   *watchedReader
	take   func(IncomingFile, Values) error
}

// spend counts the bytes of a field.
func (r *uploadReader) spend(n int) error {
	if r.left -= int64(n); r.left < 0 {
		return ErrFieldsTooLarge
	}
	return nil
}

// holdsFile reports whether the field may hold a file.
func (r *uploadReader) holdsFile(name string) bool {
	base, _, _ := strings.Cut(name, "[")
	return len(r.upload.Names) == 0 || slices.Contains(r.upload.Names, base)
}

// text reports whether a value of the field that is no file part is one in base64.
func (r *uploadReader) text(name string) bool {
	return r.upload.Text && len(r.upload.Names) > 0 && r.holdsFile(name)
}

// multipart reads the parts of RFC 7578.
func (r *uploadReader) multipart(boundary string) error {
	if boundary == "" {
		return malformed("the Content-Type has no boundary")
	}
	const broken = "the multipart body is broken or cut off"
	// Without the closing delimiter a body that was cut off between two parts could not be
	// told from a whole one.
	r.body.mark = []byte("--" + boundary + "--")
	parts := multipart.NewReader(r.body, boundary)
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) && r.body.seen {
			return nil
		}
		if err != nil {
			return malformed(broken)
		}
		name := part.FormName()
		// A file part that is cut off must not pass for a whole file.
		whole := &watchedReader{r: part}
		switch {
		case part.FileName() != "":
			if !r.holdsFile(name) {
				return problem(clip(strings.ToValidUTF8(name, "�")), "is a file, which this call does not take there")
			}
			err = r.file(name, part.FileName(), part.Header.Get("Content-Type"), whole, false)
		case r.text(name):
			// With a type of its own it is a file whose sender gave no name.
			contentType := part.Header.Get("Content-Type")
			raw := contentType != "" && !strings.HasPrefix(strings.ToLower(contentType), "text/plain")
			err = r.file(name, "", contentType, whole, !raw)
		default:
			err = r.field(name, whole)
		}
		if whole.failed != nil {
			return malformed(broken)
		}
		if err != nil {
			return err
		}
	}
}

// field reads a value that is no file.
func (r *uploadReader) field(name string, from io.Reader) error {
	value, err := io.ReadAll(io.LimitReader(from, r.left+1))
	if err != nil {
		return malformed("a value cannot be read")
	}
	if err := r.spend(len(value)); err != nil {
		return err
	}
	return r.add(name, string(value))
}

// sniffed is how much of a file http.DetectContentType looks at, bytes.
const sniffed = 512

// file hands a file on. encoded says that it is a text in base64.
func (r *uploadReader) file(field, name, contentType string, from io.Reader, encoded bool) error {
	field, _, _ = strings.Cut(field, "[")
	if err := r.name(field); err != nil {
		return err
	}
	var text *base64Reader
	if encoded {
		text = newBase64Reader(from)
		from = text
	}
	content := bufio.NewReaderSize(from, 32<<10)
	head, err := content.Peek(sniffed)
	if len(head) == 0 {
		switch {
		case text != nil && text.corrupt:
			return problem(field, notBase64)
		case err != nil && !errors.Is(err, io.EOF):
			return malformed("a file cannot be read")
		case name == "":
			return nil // an empty text is a field that is not given
		}
		return problem(field, "is an empty file")
	}
	if media, _, err := mime.ParseMediaType(contentType); err != nil || encoded || media == "" {
		contentType = http.DetectContentType(head)
	}
	if name == "" {
		name = r.values.Text("fileName")
	}
	err = r.take(IncomingFile{Field: field, Name: plainName(name), ContentType: contentType, Content: content}, r.values)
	if text != nil && text.corrupt {
		return problem(field, notBase64)
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, content)
	if text != nil && text.corrupt {
		return problem(field, notBase64)
	}
	if err != nil {
		return malformed("a file cannot be read")
	}
	return nil
}

const notBase64 = "must be a file, or its bytes in base64"

// maxFileName bounds a file's name, bytes.
const maxFileName = 255

// plainName is a sender's name for a file without a path and what has no place in a name.
func plainName(name string) string {
	name = strings.ToValidUTF8(name, "_")
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.TrimSpace(strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, name))
	for len(name) > maxFileName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	if strings.Trim(name, ".") == "" {
		name = ""
	}
	return cmp.Or(name, "file")
}

package helpdesk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"strings"

	"omnirelay/relay"
)

// form writes multipart/form-data (RFC 7578).
type form struct {
	buf    bytes.Buffer
	writer *multipart.Writer
}

// newForm begins a body whose boundary is made of the message's id: every attempt then sends
// the same bytes, and nobody knew the id before the message was accepted, so that no content
// can hold it.
func newForm(id relay.ID) (*form, error) {
	f := &form{}
	f.writer = multipart.NewWriter(&f.buf)
	if err := f.writer.SetBoundary("omnirelay-" + strings.TrimPrefix(string(id), "msg_")); err != nil {
		return nil, fmt.Errorf("message %q: %w", clip(string(id)), err)
	}
	return f, nil
}

func (f *form) field(name, value string) error {
	if err := f.writer.WriteField(name, value); err != nil {
		return fmt.Errorf("writing the field %s: %w", name, err)
	}
	return nil
}

// plain ends the body.
func (f *form) plain() (Body, error) {
	if err := f.writer.Close(); err != nil {
		return Body{}, fmt.Errorf("writing a form: %w", err)
	}
	return Body{ContentType: f.writer.FormDataContentType(), Bytes: f.buf.Bytes()}, nil
}

// withFile ends the body with the message's file, which is read when it is sent.
func (f *form) withFile(m *relay.Message, open OpenFile) (Body, error) {
	if len(m.Attachments) == 0 {
		return Body{}, fmt.Errorf("message %s has no file", m.ID)
	}
	a := m.Attachments[0]
	contentType := a.ContentType
	if _, _, err := mime.ParseMediaType(contentType); err != nil || strings.ContainsAny(contentType, "\r\n") {
		contentType = "application/octet-stream"
	}
	if _, err := f.writer.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {multipart.FileContentDisposition("file", fileName(a.Name))},
		"Content-Type":        {contentType},
	}); err != nil {
		return Body{}, fmt.Errorf("writing a form: %w", err)
	}
	head := bytes.Clone(f.buf.Bytes())
	f.buf.Reset()
	if err := f.writer.Close(); err != nil {
		return Body{}, fmt.Errorf("writing a form: %w", err)
	}
	tail := f.buf.Bytes()
	return Body{
		ContentType: f.writer.FormDataContentType(),
		Size:        int64(len(head)) + a.Size + int64(len(tail)),
		Open: func(ctx context.Context) (io.ReadCloser, error) {
			file, size, err := open(ctx, a.File)
			if err != nil {
				return nil, err
			}
			if size != a.Size {
				return nil, errors.Join(fmt.Errorf("file %s has %d bytes and should have %d", a.File, size, a.Size), file.Close())
			}
			return struct {
				io.Reader
				io.Closer
			}{io.MultiReader(bytes.NewReader(head), file, bytes.NewReader(tail)), file}, nil
		},
	}, nil
}

// fileName is a name that is fit for a header and for a receiver's file system.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '/' || r == '\\' {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	if name == "" || name == "." || name == ".." {
		return "file"
	}
	return name
}

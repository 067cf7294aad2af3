package api

import (
	"cmp"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"omnirelay/queue"
	"omnirelay/relay"
	"omnirelay/relay/download"
	"omnirelay/relay/helpdesk"
)

// fileRule says which files a call takes.
type fileRule struct {
	names []string // fields; none means any part that is a file
	text  bool     // a file may be a text in base64
	most  int
	// always reads every encoding as it comes in; otherwise that is for multipart bodies, and
	// others are read whole, as those of calls that take no files.
	always bool
	// before, where set, may refuse a file by the fields so far, before any of it is stored.
	before func(*request) error
}

// streams reports whether the request's body is to be read as it comes in.
func (f *fileRule) streams(r *request) bool {
	if f == nil {
		return false
	}
	media, _, _ := mime.ParseMediaType(r.Request().Header.Get(echo.HeaderContentType))
	return r.Request().ContentLength != 0 && (f.always || media == echo.MIMEMultipartForm)
}

// withFiles serves a call that brings files: each goes to the store as it comes in, at most a
// few parts of it in memory. When the call fails after all, they are taken away again.
func (a *API) withFiles(r *request, of route) (err error) {
	req := r.Request()
	if encoding := req.Header.Get(echo.HeaderContentEncoding); encoding != "" && encoding != "identity" {
		return errContentType
	}
	// Base64 takes 4 characters for 3 bytes, a form 3 for some of those, and multipart adds
	// its headers; the files themselves are held to their limit as they are stored.
	most := a.o.BodyLimit + int64(of.files.most)*4*a.o.AttachmentLimit
	if req.ContentLength > most {
		return errTooLarge.saying("The body is larger than %d bytes.", most)
	}
	defer func() {
		if err != nil {
			a.dropFiles(req.Context(), r.files)
		}
	}()
	query := helpdesk.Values{}
	if (of.input.Query || of.raw) && req.URL.RawQuery != "" {
		if query, err = helpdesk.ParseQuery(req.URL.RawQuery, helpdesk.DefaultLimits()); err != nil {
			return err
		}
		delete(query, queryKey)
	}
	body := http.MaxBytesReader(r.Response(), req.Body, most)
	upload := helpdesk.Upload{Names: of.files.names, Text: of.files.text, FieldBytes: a.o.BodyLimit, Limits: helpdesk.DefaultLimits()}
	values, err := helpdesk.ReadUpload(req.Header.Get(echo.HeaderContentType), body, upload, func(f helpdesk.IncomingFile, soFar helpdesk.Values) error {
		if len(r.files) == of.files.most {
			return badField(f.Field, "may be given at most "+strconv.Itoa(of.files.most)+" times")
		}
		if of.files.before != nil {
			r.values = helpdesk.Values{}
			for _, given := range []helpdesk.Values{soFar, query} {
				if err := r.values.Merge(given); err != nil {
					return err
				}
			}
			if err := of.files.before(r); err != nil {
				return err
			}
		}
		stored, err := a.o.Files.Put(req.Context(), f.Name, f.ContentType, f.Content, a.o.AttachmentLimit)
		if errors.Is(err, queue.ErrTooLarge) {
			return errTooLarge.saying("The file %s is larger than %d bytes.", f.Field, a.o.AttachmentLimit)
		}
		if err != nil {
			return err
		}
		r.files = append(r.files, stored)
		return nil
	})
	if err != nil {
		return cutOff(err)
	}
	if err := values.Merge(query); err != nil {
		return err
	}
	r.values = values
	if !of.raw {
		if err := of.input.Check(r.values); err != nil {
			return err
		}
	}
	return of.handle(r)
}

// cutOff tells a request that ended early from a failure of the relay's own.
func cutOff(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, helpdesk.ErrMalformed) {
		return errMalformed.saying("The body was cut off.").because(err)
	}
	return err
}

// dropFiles takes away what a refused request has stored. What it misses, the store's own
// sweep takes later: no message names it.
func (a *API) dropFiles(ctx context.Context, files []relay.Attachment) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for _, f := range files {
		if err := a.o.Files.Delete(ctx, f.File); err != nil {
			a.o.Log.Warn().Err(err).Str("file", f.File).Msg("the file of a refused request stays until the next sweep")
		}
	}
}

// filePath are the fields of a download address.
func filePath() helpdesk.Call {
	return helpdesk.Call{Query: true, Fields: []helpdesk.Field{
		{Name: "file", Required: true, Path: true, Doc: "The file's name in the store."},
		{Name: "expires", Required: true, Max: 20, Doc: "Until when the address is good, in seconds since 1970."},
		{Name: "signature", Required: true, Max: 100, Doc: "The relay's word for both."},
	}}
}

// file serves a message's file to whoever has its address.
func (a *API) file(r *request) error {
	name := r.Param("file")
	err := a.o.Links.Verify(name, r.values.Text("expires"), r.values.Text("signature"), a.o.Now())
	switch {
	case errors.Is(err, download.ErrExpired):
		return errOldLink
	case err != nil:
		return errLink
	}
	ctx := r.Request().Context()
	gone := errNotFound.saying("The file is no longer kept.")
	about, err := a.o.Files.Stat(ctx, name)
	if errors.Is(err, queue.ErrNotFound) {
		return gone
	}
	if err != nil {
		return errUnavailable.because(err)
	}
	content, size, err := a.o.Files.Open(ctx, name)
	if errors.Is(err, queue.ErrNotFound) {
		return gone
	}
	if err != nil {
		return errUnavailable.because(err)
	}
	defer func() { _ = content.Close() }() // nothing was written
	h := r.Response().Header()
	h.Set(echo.HeaderContentType, mediaType(about.ContentType))
	h.Set(echo.HeaderContentLength, strconv.FormatInt(size, 10))
	// A stranger made the file: no browser should show it as a page of the relay's.
	h.Set(echo.HeaderContentDisposition, disposition(about.Name))
	h.Set(echo.HeaderContentSecurityPolicy, "sandbox; default-src 'none'")
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	r.Response().WriteHeader(http.StatusOK)
	// A copy that breaks off leaves the answer shorter than it said, which every client sees.
	_, err = io.Copy(r.Response(), &paced{ctx: ctx, pace: a.pace, r: content})
	return err
}

// mediaType is a stored type, if it is one.
func mediaType(text string) string {
	if _, _, err := mime.ParseMediaType(text); err != nil || strings.ContainsAny(text, "\r\n") {
		return echo.MIMEOctetStream
	}
	return text
}

func disposition(name string) string {
	return cmp.Or(mime.FormatMediaType("attachment", map[string]string{"filename": name}), "attachment")
}

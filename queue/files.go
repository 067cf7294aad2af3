package queue

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"omnirelay/relay"
)

// ErrTooLarge means that a file has more bytes than it may; nothing of it is kept.
var ErrTooLarge = errors.New("the file is larger than allowed")

const (
	filesBucket = "RELAY_FILES"
	// fileChunk is the size of a stored part of a file, bytes.
	fileChunk = 128 << 10
	// fileWindow is how many parts are on their way at once, and so, with fileChunk, what
	// one file takes in memory while it is written or read: 1 MiB.
	fileWindow = 8
	// filePrefix begins every file's name, so that the names can be found in messages.
	filePrefix = "file_"
	fileLength = len(filePrefix) + 36
)

// Files keeps the attachments of messages, in parts. The bucket is laid out as NATS's object
// store (ADR-20), so that its tools can look into it; it is written and read here and not by
// its client, which would let a whole file wait in memory when the disk or the reader is slow.
type Files struct {
	log    *Log
	store  jetstream.ObjectStore
	stream jetstream.Stream
	flush  func() error // nil for none
}

// OpenFiles opens the file store.
func (l *Log) OpenFiles(ctx context.Context) (*Files, error) {
	store, err := l.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
		Bucket:      filesBucket,
		Description: "omnirelay: files that travel with messages",
		Replicas:    l.o.Replicas,
	})
	if err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", filesBucket, err)
	}
	s, err := l.js.Stream(ctx, "OBJ_"+filesBucket)
	if err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", filesBucket, err)
	}
	return &Files{log: l, store: store, stream: s, flush: l.o.flush("OBJ_" + filesBucket)}, nil
}

func chunkSubject(id string) string { return "$O." + filesBucket + ".C." + id }

func metaSubject(file string) string {
	return "$O." + filesBucket + ".M." + base64.URLEncoding.EncodeToString([]byte(file))
}

// Put stores what r gives, up to limit bytes, and returns it as an attachment under a name of
// the relay's own. name and contentType are the sender's. Errors: ErrTooLarge, ErrFull,
// ErrUnavailable, and what r answers; after each of them nothing of the file is kept.
func (f *Files) Put(ctx context.Context, name, contentType string, r io.Reader, limit int64) (relay.Attachment, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return relay.Attachment{}, fmt.Errorf("naming a file: %w", err)
	}
	a := relay.Attachment{File: filePrefix + id.String(), Name: name, ContentType: contentType}
	info := jetstream.ObjectInfo{
		ObjectMeta: jetstream.ObjectMeta{
			Name:        a.File,
			Description: name,
			Headers:     nats.Header{"Content-Type": {contentType}},
			Opts:        &jetstream.ObjectMetaOptions{ChunkSize: fileChunk},
		},
		Bucket: filesBucket,
		NUID:   nuid.Next(),
	}
	// Crash order: the parts, then the record that makes them a file. Parts without one are
	// what Sweep looks for.
	if err = f.write(ctx, &info, r, limit); err == nil {
		err = f.describe(ctx, &info)
	}
	if err == nil {
		err = flushed(f.flush)
	}
	if err != nil {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
		defer cancel()
		if purgeErr := f.purge(cleanup, info.NUID); purgeErr != nil {
			f.log.o.Log.Warn().Err(purgeErr).Msg("parts of a refused file stay until the next sweep")
		}
		return relay.Attachment{}, err
	}
	a.Size = int64(info.Size)
	return a, nil
}

// write stores the parts and fills in what they come to.
func (f *Files) write(ctx context.Context, info *jetstream.ObjectInfo, r io.Reader, limit int64) error {
	var (
		buffers [fileWindow][]byte
		sent    [fileWindow]*publication
		sum     = sha256.New()
		left    = limit
	)
	settle := func(slot int) error {
		if sent[slot] == nil {
			return nil
		}
		_, err := sent[slot].wait(ctx)
		sent[slot] = nil
		return err
	}
	// A part that is still on its way would be stored after the purge of a failed write.
	finish := func(err error) error {
		for slot := range sent {
			err = errors.Join(err, settle(slot))
		}
		return err
	}
	for slot := 0; ; slot = (slot + 1) % fileWindow {
		if err := settle(slot); err != nil {
			return finish(err)
		}
		if buffers[slot] == nil {
			buffers[slot] = make([]byte, fileChunk)
		}
		n, err := io.ReadFull(r, buffers[slot])
		if left -= int64(n); left < 0 {
			return finish(fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit))
		}
		if full := f.log.reserve(n); full != nil {
			return finish(full)
		}
		if n > 0 {
			part := buffers[slot][:n]
			sum.Write(part)
			info.Size += uint64(n)
			info.Chunks++
			var unsent error
			if sent[slot], unsent = f.log.out.send(&nats.Msg{Subject: chunkSubject(info.NUID), Data: part}, nil, nil); unsent != nil {
				return finish(unsent)
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			info.Digest = digest(sum)
			return finish(nil)
		case err != nil:
			return finish(fmt.Errorf("reading a file that comes in: %w", err))
		}
	}
}

// describe stores the record that makes the parts a file.
func (f *Files) describe(ctx context.Context, info *jetstream.ObjectInfo) error {
	data, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("describing a file: %w", err)
	}
	_, err = f.log.js.PublishMsg(ctx, &nats.Msg{
		Subject: metaSubject(info.Name), Data: data,
		Header: nats.Header{jetstream.MsgRollup: {jetstream.MsgRollupSubject}},
	})
	return storeError(err)
}

// flushed makes what a bucket has acknowledged final.
func flushed(flush func() error) error {
	if flush == nil {
		return nil
	}
	if err := flush(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

func digest(sum hash.Hash) string {
	return "SHA-256=" + base64.URLEncoding.EncodeToString(sum.Sum(nil))
}

// Stat describes a file; ErrNotFound when it is not there.
func (f *Files) Stat(ctx context.Context, file string) (relay.Attachment, error) {
	info, err := f.info(ctx, file)
	if err != nil {
		return relay.Attachment{}, err
	}
	return relay.Attachment{
		File: info.Name, Name: info.Description,
		ContentType: info.Headers.Get("Content-Type"), Size: int64(info.Size),
	}, nil
}

func (f *Files) info(ctx context.Context, file string) (*jetstream.ObjectInfo, error) {
	if !strings.HasPrefix(file, filePrefix) || len(file) != fileLength {
		return nil, fmt.Errorf("file %q: %w", clip(file), ErrNotFound)
	}
	info, err := f.store.GetInfo(ctx, file)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, fmt.Errorf("file %s: %w", file, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("looking up file %s: %w", file, err)
	}
	return info, nil
}

// Open reads a file from its beginning and says how many bytes it has. The reader ends with
// an error, not with io.EOF, when the bytes are not those that were stored. It must be closed,
// and reads only while ctx lives. Errors: ErrNotFound.
func (f *Files) Open(ctx context.Context, file string) (io.ReadCloser, int64, error) {
	info, err := f.info(ctx, file)
	if err != nil {
		return nil, 0, err
	}
	r := &fileReader{file: file, left: int64(info.Size), digest: info.Digest, sum: sha256.New(), release: func() {}}
	if info.Size == 0 {
		return r, 0, nil
	}
	it, err := f.log.read(ctx, f.stream, 0, chunkSubject(info.NUID), jetstream.PullMaxMessages(fileWindow))
	if err != nil {
		return nil, 0, fmt.Errorf("opening file %s: %w", file, err)
	}
	detach := context.AfterFunc(ctx, it.Stop)
	r.next = func() ([]byte, error) {
		m, err := it.Next()
		if err != nil {
			return nil, errors.Join(err, context.Cause(ctx))
		}
		return m.Data(), nil
	}
	r.release = func() {
		detach()
		it.Stop()
	}
	return r, r.left, nil
}

// fileReader gives the parts of a file one after the other.
type fileReader struct {
	file    string
	part    []byte
	left    int64 // bytes not yet read from the store
	next    func() ([]byte, error)
	sum     hash.Hash
	digest  string
	release func()
}

// Read implements io.Reader.
func (r *fileReader) Read(p []byte) (int, error) {
	for len(r.part) == 0 {
		if r.left == 0 {
			if digest(r.sum) != r.digest {
				return 0, fmt.Errorf("file %s is damaged: its bytes are not those that were stored", r.file)
			}
			return 0, io.EOF
		}
		part, err := r.next()
		if err != nil {
			return 0, fmt.Errorf("reading file %s: %w", r.file, err)
		}
		if int64(len(part)) > r.left {
			return 0, fmt.Errorf("file %s is damaged: it has more bytes than were stored", r.file)
		}
		r.left -= int64(len(part))
		r.sum.Write(part)
		r.part = part
	}
	n := copy(p, r.part)
	r.part = r.part[n:]
	return n, nil
}

// Close implements io.Closer.
func (r *fileReader) Close() error {
	r.release()
	return nil
}

// Delete removes a file; none is an error only when it cannot be found out. Crash order: the
// record, then the parts, so that no record is left that has none.
func (f *Files) Delete(ctx context.Context, file string) error {
	info, err := f.info(ctx, file)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.stream.Purge(ctx, jetstream.WithPurgeSubject(metaSubject(file))); err != nil {
		return fmt.Errorf("deleting file %s: %w", file, err)
	}
	return f.purge(ctx, info.NUID)
}

// purge removes the parts of a file.
func (f *Files) purge(ctx context.Context, id string) error {
	if err := f.stream.Purge(ctx, jetstream.WithPurgeSubject(chunkSubject(id))); err != nil {
		return fmt.Errorf("removing the parts of a file: %w", err)
	}
	return nil
}

// clip keeps what an error says of a stranger's input short.
func clip(s string) string {
	const most = 48
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

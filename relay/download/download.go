// Package download makes and checks the addresses under which the relay serves the files of
// messages: whoever has one may fetch that one file for a while, and needs no key.
package download

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/relay"
)

// Errors of Verify.
var (
	ErrInvalid = errors.New("the download address is not one that the relay made")
	ErrExpired = errors.New("the download address has expired")
)

// Bucket is the name of the KV bucket that holds the key, which all instances share.
const Bucket = "RELAY_DOWNLOAD"

const (
	keyName = "key"
	keySize = 32 // bytes, as long as the hash
)

// DefaultLifetime is how long an address is good after its message was accepted.
const DefaultLifetime = 7 * 24 * time.Hour

// Options are the options of Links.
type Options struct {
	BaseURL  string        // where others reach the relay, without a slash at the end
	Lifetime time.Duration // of an address, from the message's acceptance; default DefaultLifetime
	Replicas int           // copies of the bucket in a cluster; 0 means 1
	// Flush makes what a stream has acknowledged survive a power cut; see mirror.Options.
	Flush func(stream string) func() error
}

func (o Options) flush() error {
	if o.Flush == nil {
		return nil
	}
	if flush := o.Flush("KV_" + Bucket); flush != nil {
		return flush()
	}
	return nil
}

// Links makes and checks addresses.
type Links struct {
	o   Options
	key []byte
}

// Open reads the key, and makes one when there is none.
func Open(ctx context.Context, js jetstream.JetStream, o Options) (*Links, error) {
	if o.Lifetime <= 0 {
		o.Lifetime = DefaultLifetime
	}
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:      Bucket,
		Description: "omnirelay: the key that signs download addresses",
		Replicas:    max(o.Replicas, 1),
	})
	if err != nil {
		return nil, fmt.Errorf("opening the bucket %s: %w", Bucket, err)
	}
	fresh := make([]byte, keySize)
	_, _ = rand.Read(fresh) // never fails: crypto/rand ends the program instead
	_, err = kv.Create(ctx, keyName, fresh)
	if err == nil {
		if err := o.flush(); err != nil {
			return nil, fmt.Errorf("storing the key of download addresses: %w", err)
		}
		return &Links{o: o, key: fresh}, nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return nil, fmt.Errorf("storing the key of download addresses: %w", err)
	}
	e, err := kv.Get(ctx, keyName)
	if err != nil {
		return nil, fmt.Errorf("reading the key of download addresses: %w", err)
	}
	if len(e.Value()) != keySize {
		return nil, fmt.Errorf("the key of download addresses has %d bytes and should have %d; delete bucket %s to make another", len(e.Value()), keySize, Bucket)
	}
	return &Links{o: o, key: e.Value()}, nil
}

// URL is the address of a message's file. It is the same at every attempt: its end counts
// from when the message was accepted.
func (l *Links) URL(a relay.Attachment, acceptedAt time.Time) string {
	expires := strconv.FormatInt(acceptedAt.Add(l.o.Lifetime).Unix(), 10)
	return strings.TrimRight(l.o.BaseURL, "/") + "/files/" + a.File + "?expires=" + expires + "&signature=" + l.sign(a.File, expires)
}

// Verify checks what came with a request for a file: ErrInvalid, ErrExpired or nil.
func (l *Links) Verify(file, expires, signature string, now time.Time) error {
	if !hmac.Equal([]byte(l.sign(file, expires)), []byte(signature)) {
		return ErrInvalid
	}
	end, err := strconv.ParseInt(expires, 10, 64)
	if err != nil {
		return ErrInvalid
	}
	if !now.Before(time.Unix(end, 0)) {
		return ErrExpired
	}
	return nil
}

func (l *Links) sign(file, expires string) string {
	mac := hmac.New(sha256.New, l.key)
	// No file's name holds a line break, so no two pairs give one text.
	mac.Write([]byte(file + "\n" + expires))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

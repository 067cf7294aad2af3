package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"omnirelay/queue/mirror"
)

// Errors of the registry.
var (
	ErrUnknownKey = errors.New("the API key is not known")
	ErrRevoked    = errors.New("the API key was revoked")
	ErrNotFound   = errors.New("no API key has this id")
)

// Bucket is the name of the KV bucket that holds the keys.
const Bucket = "RELAY_KEYS"

// Options of a Registry.
type Options struct {
	Replicas int // copies of the bucket in a cluster; 0 means 1
	// Flush makes what a stream has acknowledged survive a power cut; see mirror.Options.
	Flush func(stream string) func() error
	Log   zerolog.Logger
}

// Registry holds all keys in memory, in step with the bucket and so with the other
// instances.
type Registry struct {
	records *mirror.Mirror[record]
}

// record is a key with what recognises it.
type record struct {
	key  Key
	hash digest
}

// storedRecord is the JSON of a record.
type storedRecord struct {
	Key
	Hash string `json:"sha256"` // hexadecimal
}

// Open makes the bucket when it is missing and reads all keys. The context bounds Open
// only; the registry lives until Close.
func Open(ctx context.Context, js jetstream.JetStream, o Options) (*Registry, error) {
	records, err := mirror.Open(ctx, js, mirror.Options[record]{
		Bucket:      Bucket,
		Description: "omnirelay: API keys, hashes only",
		Replicas:    o.Replicas,
		Encode:      encodeRecord,
		Decode:      decodeRecord,
		Flush:       o.Flush,
		Log:         o.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("opening the key registry: %w", err)
	}
	return &Registry{records: records}, nil
}

// Close ends following the bucket; what is stored stays.
func (r *Registry) Close() { r.records.Close() }

// Create makes a key. The ClearKey is the only copy of it there will ever be. Bad input
// gives relay.Problems.
func (r *Registry) Create(ctx context.Context, req CreateRequest) (ClearKey, Key, error) {
	req, err := req.check()
	if err != nil {
		return ClearKey{}, Key{}, err
	}
	fresh := newClearKey()
	rec := newRecord(digestOf(fresh.Reveal()), req)
	if err := r.records.Create(ctx, rec.hash.bucketKey(), rec); err != nil {
		return ClearKey{}, Key{}, fmt.Errorf("creating an API key: %w", err)
	}
	return fresh, rec.key, nil
}

// Ensure makes the given key exist with a name and permissions for all channels, as for one
// that stands in the configuration: 16 to 512 visible ASCII characters. A key that is there
// takes the name and permissions over; one that was revoked stays so, ErrRevoked.
func (r *Registry) Ensure(ctx context.Context, text, name string, permissions []Permission) (Key, error) {
	if err := checkChosen(text); err != nil {
		return Key{}, err
	}
	req, err := CreateRequest{Name: name, Permissions: permissions}.check()
	if err != nil {
		return Key{}, err
	}
	rec := newRecord(digestOf(text), req)
	present, err := r.Authenticate(ctx, text)
	switch {
	case errors.Is(err, ErrUnknownKey):
		err := r.records.Create(ctx, rec.hash.bucketKey(), rec)
		if err == nil {
			return rec.key, nil
		}
		// Another instance with the same configuration may have been faster.
		if !errors.Is(err, mirror.ErrExists) {
			return Key{}, fmt.Errorf("creating an API key: %w", err)
		}
	case err != nil:
		return Key{}, err
	case present.Name == req.Name && slices.Equal(present.Permissions, req.Permissions) && len(present.Channels) == 0:
		return present, nil
	}
	rec, err = r.records.Modify(ctx, rec.hash.bucketKey(), func(old record) (record, error) {
		if old.key.Revoked() {
			return record{}, ErrRevoked
		}
		old.key.Name, old.key.Permissions, old.key.Channels = req.Name, req.Permissions, nil
		return old, nil
	})
	if err != nil {
		return Key{}, fmt.Errorf("changing an API key: %w", err)
	}
	return rec.key, nil
}

// Authenticate finds the key that a caller sent. ErrUnknownKey and ErrRevoked say that it
// is no good, the latter with the Key for the log; any other error says nothing about it.
func (r *Registry) Authenticate(ctx context.Context, text string) (Key, error) {
	if len(text) < minClear || len(text) > maxClear {
		return Key{}, ErrUnknownKey
	}
	hash := digestOf(text)
	rec, err := r.records.Find(ctx, hash.bucketKey())
	if errors.Is(err, mirror.ErrNotFound) {
		return Key{}, ErrUnknownKey
	}
	if err != nil {
		return Key{}, fmt.Errorf("looking an API key up: %w", err)
	}
	if subtle.ConstantTimeCompare(hash[:], rec.hash[:]) != 1 {
		return Key{}, ErrUnknownKey
	}
	if rec.key.Revoked() {
		return rec.key, ErrRevoked
	}
	return rec.key, nil
}

// Get returns a key by its id, revoked or not.
func (r *Registry) Get(id string) (Key, error) {
	_, rec, err := r.byID(id)
	return rec.key, err
}

// List returns all keys, revoked ones too, oldest first.
func (r *Registry) List() []Key {
	keys := make([]Key, 0, r.records.Len())
	for _, rec := range r.records.All() {
		keys = append(keys, rec.key)
	}
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return keys
}

// Empty reports whether there has never been a key. Revoked ones count: an operator who
// took all keys back does not want one made by itself.
func (r *Registry) Empty() bool { return r.records.Len() == 0 }

// Revoke takes a key back for good. Revoking it again changes nothing and is no error.
func (r *Registry) Revoke(ctx context.Context, id string) (Key, error) {
	name, _, err := r.byID(id)
	if errors.Is(err, ErrNotFound) {
		// Another instance may have made it a moment ago.
		if err := r.records.Refresh(ctx); err != nil {
			return Key{}, fmt.Errorf("revoking the API key: %w", err)
		}
		name, _, err = r.byID(id)
	}
	if err != nil {
		return Key{}, err
	}
	now := present()
	rec, err := r.records.Modify(ctx, name, func(old record) (record, error) {
		if !old.key.Revoked() {
			old.key.RevokedAt = now
		}
		return old, nil
	})
	if err != nil {
		return Key{}, fmt.Errorf("revoking the API key: %w", err)
	}
	return rec.key, nil
}

// byID searches all records: keys are few, and looked up by id only by people.
func (r *Registry) byID(id string) (name string, rec record, err error) {
	for name, rec := range r.records.All() {
		if rec.key.ID == id {
			return name, rec, nil
		}
	}
	return "", record{}, ErrNotFound
}

func newRecord(hash digest, req CreateRequest) record {
	return record{hash: hash, key: Key{
		ID:          "key_" + strings.ToLower(rand.Text()),
		Name:        req.Name,
		Permissions: req.Permissions,
		Channels:    req.Channels,
		CreatedAt:   present(),
	}}
}

func encodeRecord(r record) ([]byte, error) {
	return json.Marshal(storedRecord{Key: r.key, Hash: hex.EncodeToString(r.hash[:])})
}

func decodeRecord(name string, data []byte) (record, error) {
	var s storedRecord
	if err := json.Unmarshal(data, &s); err != nil {
		return record{}, err
	}
	r := record{key: s.Key}
	hash, err := hex.DecodeString(s.Hash)
	if err != nil || len(hash) != len(r.hash) {
		return record{}, errors.New("its sha256 is not 64 hexadecimal digits")
	}
	r.hash = digest(hash)
	if r.hash.bucketKey() != name {
		return record{}, errors.New("its sha256 belongs to another key")
	}
	if s.ID == "" {
		return record{}, errors.New("it has no id")
	}
	return r, nil
}

func present() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

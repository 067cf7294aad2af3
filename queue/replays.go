package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/queue/mirror"
	"omnirelay/relay"
)

// Replay is an operator's request to send a destination everything since a time once more,
// under the same ids. It stands until the destination's owner has opened those messages
// again.
type Replay struct {
	ID          string            `json:"id"`
	Destination relay.Destination `json:"destination"`
	Since       time.Time         `json:"since"`
	By          string            `json:"by"`
	RequestedAt time.Time         `json:"requestedAt"`
}

// Replays is the record of the requests that are not carried out yet, one a destination.
type Replays struct {
	mirror *mirror.Mirror[Replay]
}

// OpenReplays opens the record.
func (l *Log) OpenReplays(ctx context.Context) (*Replays, error) {
	m, err := mirror.Open(ctx, l.js, mirror.Options[Replay]{
		Bucket:      "RELAY_REPLAYS",
		Description: "omnirelay: replays that are not carried out yet",
		Replicas:    l.o.Replicas,
		Encode:      encodeJSON[Replay],
		Decode:      decodeJSON[Replay],
		Flush:       l.o.Flush,
		Log:         l.o.Log,
	})
	if err != nil {
		return nil, err
	}
	return &Replays{mirror: m}, nil
}

// Close stops following the record.
func (r *Replays) Close() { r.mirror.Close() }

// Subscribe has f called after every change, whoever made it.
func (r *Replays) Subscribe(f func(relay.Destination)) (cancel func()) {
	return r.mirror.Subscribe(func(key string) { f(relay.Destination(key)) })
}

// Get returns the request for a destination, if there is one.
func (r *Replays) Get(d relay.Destination) (Replay, bool) {
	req, err := r.mirror.Get(string(d))
	return req, err == nil
}

// List returns the requests that are not carried out yet.
func (r *Replays) List() []Replay {
	var list []Replay
	for _, req := range r.mirror.All() {
		list = append(list, req)
	}
	slices.SortFunc(list, func(a, b Replay) int { return strings.Compare(string(a.Destination), string(b.Destination)) })
	return list
}

// Request asks for a replay; ErrConflict while another one for the destination is not
// carried out yet.
func (r *Replays) Request(ctx context.Context, d relay.Destination, since time.Time, by string) (Replay, error) {
	req := Replay{ID: uuid.NewString(), Destination: d, Since: since.UTC(), By: by, RequestedAt: time.Now().UTC()}
	err := r.mirror.Create(ctx, string(d), req)
	if errors.Is(err, mirror.ErrExists) {
		return Replay{}, fmt.Errorf("a replay of %s is under way: %w", d, ErrConflict)
	}
	if err != nil {
		return Replay{}, fmt.Errorf("requesting a replay of %s: %w", d, err)
	}
	return req, nil
}

// Done removes a request that is carried out.
func (r *Replays) Done(ctx context.Context, req Replay) error {
	err := r.mirror.Delete(ctx, string(req.Destination))
	if err != nil && !errors.Is(err, mirror.ErrNotFound) {
		return fmt.Errorf("ending the replay of %s: %w", req.Destination, err)
	}
	return nil
}

// Positions returns up to n positions of the messages that a replay covers, above after and
// not above upTo: those stored from its Since on and before it was requested.
func (l *Log) Positions(ctx context.Context, req Replay, after, upTo relay.Position, n int) ([]relay.Position, error) {
	shard := l.ShardOf(req.Destination)
	var list []relay.Position
	r := scanRange{filter: destinationSubject(shard, req.Destination), since: req.Since}
	err := scan(ctx, l.messages[shard], r, func(_ jetstream.Msg, meta *jetstream.MsgMetadata) (bool, error) {
		pos := meta.Sequence.Stream
		if pos > upTo || len(list) == n || !meta.Timestamp.Before(req.RequestedAt) {
			return false, nil
		}
		if pos > after {
			list = append(list, pos)
		}
		return true, nil
	})
	return list, err
}

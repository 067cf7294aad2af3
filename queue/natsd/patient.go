package natsd

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// patient is the JetStream of a cluster for those who open what they keep there. A cluster
// without a leader answers no request of that kind, and of two instances that make the same
// stream at the same time only one gets an answer (nats-server 2.15): both are asked again.
type patient struct {
	jetstream.JetStream
	o ExternalOptions
}

// openTimeout is how long one such request may take.
const openTimeout = 5 * time.Second

func (p patient) CreateOrUpdateStream(ctx context.Context, c jetstream.StreamConfig) (jetstream.Stream, error) {
	return insist(ctx, p, func(ctx context.Context) (jetstream.Stream, error) { return p.JetStream.CreateOrUpdateStream(ctx, c) })
}

func (p patient) CreateOrUpdateKeyValue(ctx context.Context, c jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	return insist(ctx, p, func(ctx context.Context) (jetstream.KeyValue, error) {
		return p.JetStream.CreateOrUpdateKeyValue(ctx, c)
	})
}

func (p patient) CreateOrUpdateObjectStore(ctx context.Context, c jetstream.ObjectStoreConfig) (jetstream.ObjectStore, error) {
	return insist(ctx, p, func(ctx context.Context) (jetstream.ObjectStore, error) {
		return p.JetStream.CreateOrUpdateObjectStore(ctx, c)
	})
}

// insist tries within the options' patience, as long as the cluster itself has not refused.
func insist[T any](ctx context.Context, p patient, try func(context.Context) (T, error)) (got T, err error) {
	err = p.o.persist(ctx, func() (err error) {
		asking, cancel := context.WithTimeout(ctx, openTimeout)
		defer cancel()
		if got, err = try(asking); err != nil && !unanswered(err) {
			return backoff.Permanent(err)
		}
		return err
	})
	return got, err
}

// unanswered reports whether an error is not the cluster's word on a request.
func unanswered(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return api.Code >= http.StatusInternalServerError
	}
	for _, lost := range []error{context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected, nats.ErrConnectionReconnecting} {
		if errors.Is(err, lost) {
			return true
		}
	}
	return false
}

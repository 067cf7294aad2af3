package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// msgGetRequest asks for one record of a stream, by exactly one of its fields.
type msgGetRequest struct {
	Seq        uint64 `json:"seq,omitempty"`
	LastBySubj string `json:"last_by_subj,omitempty"`
}

// leaderMsg reads a record from the stream's leader, which alone knows for certain what is
// in the stream: streams here allow direct gets, which any replica answers, and readers run
// on any replica. A leader answers only after it has applied all that was acknowledged.
// Errors: jetstream.ErrMsgNotFound.
func (l *Log) leaderMsg(ctx context.Context, stream string, r msgGetRequest) (*jetstream.RawStreamMsg, error) {
	req, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("asking the leader of %s: %w", stream, err)
	}
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	answer, err := l.ask(ctx, &nats.Msg{Subject: jetstream.DefaultAPIPrefix + "STREAM.MSG.GET." + stream, Data: req})
	if err != nil {
		return nil, fmt.Errorf("asking the leader of %s: %w", stream, err)
	}
	var res struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject  string `json:"subject"`
			Sequence uint64 `json:"seq"`
			Data     []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &res); err != nil {
		return nil, fmt.Errorf("reading the answer of the leader of %s: %w", stream, err)
	}
	if res.Error != nil {
		if res.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return nil, jetstream.ErrMsgNotFound
		}
		return nil, fmt.Errorf("asking the leader of %s: %w", stream, res.Error)
	}
	return &jetstream.RawStreamMsg{Subject: res.Message.Subject, Sequence: res.Message.Sequence, Data: res.Message.Data}, nil
}

// record reads one record of a stream. Errors: jetstream.ErrMsgNotFound.
func (l *Log) record(ctx context.Context, s jetstream.Stream, name string, seq uint64) (*jetstream.RawStreamMsg, error) {
	raw, err := s.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) && l.o.Replicas > 1 {
		// Any copy may have answered, also one that lags behind. What was accepted is not gone
		// before the leader says so.
		return l.leaderMsg(ctx, name, msgGetRequest{Seq: seq})
	}
	return raw, err
}

// askAgain is how long a stream's leader may take to answer before it is asked once more: while
// there is none, nobody answers.
const askAgain = time.Second

// ask requests until there is an answer or ctx ends.
func (l *Log) ask(ctx context.Context, question *nats.Msg) (*nats.Msg, error) {
	for {
		asking, cancel := context.WithTimeout(ctx, askAgain)
		answer, err := l.js.Conn().RequestMsgWithContext(asking, question)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return answer, err
		}
	}
}

// lastAttempt is the sequence of the last record of the attempt log that a filter matches;
// 0 when there is none.
func (l *Log) lastAttempt(ctx context.Context, filter string) (uint64, error) {
	m, err := l.leaderMsg(ctx, attemptStream, msgGetRequest{LastBySubj: filter})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return m.Sequence, nil
}

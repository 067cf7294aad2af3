package relay

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Policy says how messages are delivered to one destination.
type Policy struct {
	Concurrency int      `json:"concurrency"` // requests in flight at once, over all conversations; default 16
	Timeout     Duration `json:"timeout"`     // of one request, from dialling to the end of the answer; default 15s
	RateLimit   float64  `json:"rate_limit"`  // messages a second; 0, the default, means no limit
	RateBurst   int      `json:"rate_burst"`  // messages that may go at once under RateLimit; default 1
	RetryPolicy
}

// RetryPolicy says when a failed message is tried again, and when it becomes a dead letter.
type RetryPolicy struct {
	MaxAttempts int      `json:"max_attempts"`  // tries in all; default 10
	MaxAge      Duration `json:"max_age"`       // from acceptance, time on hold not counted; default 72h
	Initial     Duration `json:"retry_initial"` // the longest wait after the first failure; doubles with each; default 5s
	Max         Duration `json:"retry_max"`     // the longest wait of all; default 4h
}

// DefaultPolicy is the policy of a destination that sets nothing of its own: ten tries over
// at most three days, the waits at most 5s, 10s, 20s, 40s, 1m20s, 2m40s, 5m20s, 10m40s and
// 21m20s.
func DefaultPolicy() Policy {
	return Policy{
		Concurrency: 16,
		Timeout:     Duration(15 * time.Second),
		RateBurst:   1,
		RetryPolicy: RetryPolicy{
			MaxAttempts: 10,
			MaxAge:      Duration(72 * time.Hour),
			Initial:     Duration(5 * time.Second),
			Max:         Duration(4 * time.Hour),
		},
	}
}

// EventMaxAge is how long an event (typing, visited) is worth sending.
const EventMaxAge = 15 * time.Second

// FinalAnswerAttempts is how often a message is tried that the receiver itself refuses with
// a 4xx other than 408, 410, 425 and 429: a refusal seldom changes its mind, but a receiver
// in the middle of a deployment may.
const FinalAnswerAttempts = 3

// Wait is how long to wait after the given number of failures (1 or more): exponential with
// full jitter, that is uniformly between 0 and min(Max, Initial·2^(failures−1)). It spreads
// the retries of many messages that failed together.
func (p RetryPolicy) Wait(failures int) time.Duration {
	// A randomization factor of 1 around half the interval is full jitter.
	b := backoff.ExponentialBackOff{
		InitialInterval:     time.Duration(p.Initial) / 2,
		RandomizationFactor: 1,
		Multiplier:          2,
		MaxInterval:         time.Duration(p.Max) / 2,
		Clock:               backoff.SystemClock,
	}
	b.Reset()
	var wait time.Duration
	// Past 64 doublings every interval is at its cap.
	for range min(failures, 64) {
		wait = b.NextBackOff()
	}
	return wait
}

package dispatch_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/dispatch"
)

// Everything that decides about an attempt, one rule a row.
func TestVerdict(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	next := now.Add(3 * time.Minute)
	old := func(age time.Duration) func(*dispatch.Trial) {
		return func(t *dispatch.Trial) { t.Entry.AcceptedAt = now.Add(-age) }
	}
	after := func(n int) func(*dispatch.Trial) { return func(t *dispatch.Trial) { t.Attempts = n } }
	probe := func(t *dispatch.Trial) { t.Probe, t.ProbeNext = true, next }
	event := func(t *dispatch.Trial) { t.Entry.Kind = relay.KindEvent }
	type changes []func(*dispatch.Trial)
	for name, c := range map[string]struct {
		given   changes
		result  relay.Result
		outcome relay.Outcome
		reason  relay.Reason
		number  int
	}{
		"success":                         {nil, relay.Result{Reason: relay.ReasonOK}, relay.Delivered, relay.ReasonOK, 1},
		"success at the last try":         {changes{after(9)}, relay.Result{Reason: relay.ReasonOK}, relay.Delivered, relay.ReasonOK, 10},
		"success of an old message":       {changes{old(80 * time.Hour)}, relay.Result{Reason: relay.ReasonOK}, relay.Delivered, relay.ReasonOK, 1},
		"kept":                            {nil, relay.Result{Reason: relay.ReasonKept}, relay.Delivered, relay.ReasonKept, 1},
		"5xx":                             {nil, relay.Result{Reason: relay.ReasonStatus5xx}, relay.Retry, relay.ReasonStatus5xx, 1},
		"5xx at the last try":             {changes{after(9)}, relay.Result{Reason: relay.ReasonStatus5xx}, relay.Dead, relay.ReasonExhausted, 10},
		"4xx":                             {nil, relay.Result{Reason: relay.ReasonStatus4xx}, relay.Retry, relay.ReasonStatus4xx, 1},
		"second 4xx":                      {changes{after(1)}, relay.Result{Reason: relay.ReasonStatus4xx}, relay.Retry, relay.ReasonStatus4xx, 2},
		"third 4xx":                       {changes{after(2)}, relay.Result{Reason: relay.ReasonStatus4xx}, relay.Dead, relay.ReasonStatus4xx, 3},
		"4xx after 5xx":                   {changes{after(5)}, relay.Result{Reason: relay.ReasonStatus4xx}, relay.Dead, relay.ReasonStatus4xx, 6},
		"4xx with a shorter policy":       {changes{func(t *dispatch.Trial) { t.Policy.MaxAttempts = 1 }}, relay.Result{Reason: relay.ReasonStatus4xx}, relay.Dead, relay.ReasonStatus4xx, 1},
		"answer that says it failed":      {changes{after(2)}, relay.Result{Reason: relay.ReasonBadAnswer}, relay.Dead, relay.ReasonBadAnswer, 3},
		"429":                             {changes{after(2)}, relay.Result{Reason: relay.ReasonRateLimited}, relay.Retry, relay.ReasonRateLimited, 3},
		"410":                             {nil, relay.Result{Reason: relay.ReasonGone}, relay.Dead, relay.ReasonGone, 1},
		"deleted channel":                 {nil, relay.Result{Reason: relay.ReasonDiscarded, By: "ann"}, relay.Dead, relay.ReasonDiscarded, 1},
		"not to be tried again":           {nil, relay.Result{Reason: relay.ReasonTimeout, Final: true}, relay.Dead, relay.ReasonTimeout, 1},
		"the relay's own fault":           {nil, relay.Result{Reason: relay.ReasonUnresolved}, relay.Retry, relay.ReasonUnresolved, 0},
		"the relay's own fault, late":     {changes{after(9)}, relay.Result{Reason: relay.ReasonUnresolved}, relay.Retry, relay.ReasonUnresolved, 9},
		"too old for another try":         {changes{old(72*time.Hour + time.Second)}, relay.Result{Reason: relay.ReasonTimeout}, relay.Dead, relay.ReasonExpired, 1},
		"old but on hold for long":        {changes{old(80 * time.Hour), func(t *dispatch.Trial) { t.Held = 20 * time.Hour }}, relay.Result{Reason: relay.ReasonTimeout}, relay.Retry, relay.ReasonTimeout, 1},
		"probe":                           {changes{probe, after(4)}, relay.Result{Reason: relay.ReasonRefused}, relay.Retry, relay.ReasonRefused, 4},
		"probe that had its tries":        {changes{probe, after(10)}, relay.Result{Reason: relay.ReasonRefused}, relay.Retry, relay.ReasonRefused, 10},
		"probe that is too old":           {changes{probe, old(72*time.Hour - time.Minute)}, relay.Result{Reason: relay.ReasonRefused}, relay.Dead, relay.ReasonExpired, 0},
		"probe that is delivered":         {changes{probe, after(4)}, relay.Result{Reason: relay.ReasonOK}, relay.Delivered, relay.ReasonOK, 5},
		"event":                           {changes{event}, relay.Result{Reason: relay.ReasonOK}, relay.Delivered, relay.ReasonOK, 1},
		"event that failed":               {changes{event}, relay.Result{Reason: relay.ReasonStatus5xx}, relay.Dead, relay.ReasonStatus5xx, 1},
		"event that could not be tried":   {changes{event}, relay.Result{Reason: relay.ReasonUnresolved}, relay.Dead, relay.ReasonUnresolved, 0},
		"attachments are like messages":   {changes{func(t *dispatch.Trial) { t.Entry.Kind = relay.KindAttachment }}, relay.Result{Reason: relay.ReasonTimeout}, relay.Retry, relay.ReasonTimeout, 1},
		"blocked address is no last word": {nil, relay.Result{Reason: relay.ReasonBlockedAddress}, relay.Retry, relay.ReasonBlockedAddress, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trial := dispatch.Trial{Policy: relay.DefaultPolicy(), Now: now}
			trial.Entry.Kind, trial.Entry.AcceptedAt = relay.KindMessage, now
			for _, change := range c.given {
				change(&trial)
			}
			a := trial.Attempt(c.result)
			require.Equal(t, c.outcome, a.Outcome)
			require.Equal(t, c.reason, a.Reason)
			require.Equal(t, c.number, a.Number)
			require.Equal(t, c.result.By, a.By)
			require.Equal(t, c.outcome == relay.Retry, !a.NextAt.IsZero(), "only a retry has a next time")
			if trial.Probe && c.outcome == relay.Retry {
				require.Equal(t, next, a.NextAt)
			}
		})
	}
}

// A receiver may ask for a longer wait than the policy's, within bounds.
func TestRetryAfterIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		asked, longest  time.Duration // of the answer and of the policy
		atLeast, atMost time.Duration
	}{
		"nothing":             {0, 4 * time.Hour, 0, 5 * time.Second},
		"less than a retry":   {time.Millisecond, 4 * time.Hour, time.Millisecond, 5 * time.Second},
		"a minute":            {time.Minute, 4 * time.Hour, time.Minute, time.Minute},
		"a day":               {24 * time.Hour, 4 * time.Hour, 4 * time.Hour, 4 * time.Hour},
		"an impatient policy": {24 * time.Hour, time.Minute, dispatch.MaxRetryAfter, dispatch.MaxRetryAfter},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trial := dispatch.Trial{Policy: relay.DefaultPolicy(), Now: now}
			trial.Policy.Max = relay.Duration(c.longest)
			trial.Entry.Kind, trial.Entry.AcceptedAt = relay.KindMessage, now
			for range 50 { // the wait is random below
				a := trial.Attempt(relay.Result{Reason: relay.ReasonRateLimited, Status: 429, RetryAfter: c.asked})
				require.GreaterOrEqual(t, a.NextAt.Sub(now), c.atLeast)
				require.LessOrEqual(t, a.NextAt.Sub(now), c.atMost)
			}
		})
	}
}

// Package sink is a webhook receiver for trials and tests: the other end of a delivery. It
// verifies signatures (Standard Webhooks 1.0.0), prints what came, counts it, and watches
// over what a sender promises: each conversation in order, nothing twice after a 2xx.
//
// It also misbehaves on demand, by a list of Faults; the first that applies to a request
// decides it:
//
//	503            every request is answered with 503
//	503x3          the first three are
//	503/10         every tenth is
//	503@0.3        three in ten are, at random but the same for the same seed
//	429+30s        with Retry-After: 30
//	slow=5s        the answer comes five seconds late, and is a good one
//	hang           no answer ever; the connection stays open
//	close          the connection is closed before the body is read
//	close-after    it is closed after, so that the sender cannot know what became of it
//
// The words and the counts combine: hangx2, close/7, slow=100ms@0.5.
package sink

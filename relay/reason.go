package relay

// Reason says why an attempt ended as it did. The set is closed: the attempt record, the
// log line's field, the API and the metric label share it.
type Reason string

// The reasons.
const (
	ReasonOK             Reason = "ok"              // 2xx
	ReasonKept           Reason = "kept"            // no helpdesk is configured: kept for readers, not sent
	ReasonTimeout        Reason = "timeout"         // no answer in time
	ReasonDNS            Reason = "dns"             // the name did not resolve
	ReasonRefused        Reason = "refused"         // nobody listens there
	ReasonReset          Reason = "reset"           // the connection broke before an answer
	ReasonTLS            Reason = "tls"             // no trusted connection
	ReasonBlockedAddress Reason = "blocked_address" // the egress rule forbids the address
	ReasonRedirect       Reason = "redirect"        // 3xx: never followed
	ReasonGone           Reason = "gone"            // 410: the receiver asks for no more
	ReasonRateLimited    Reason = "rate_limited"    // 429
	ReasonStatus4xx      Reason = "status_4xx"      // any other 4xx
	ReasonStatus5xx      Reason = "status_5xx"      // 5xx, and answers that are no HTTP status of a success
	ReasonNetwork        Reason = "network"         // any other failure to get an answer
	ReasonBadAnswer      Reason = "bad_answer"      // 2xx whose body says that it failed
	ReasonAmbiguous      Reason = "ambiguous"       // sent, but no answer: the receiver may have taken it, and would take it twice
	ReasonUnresolved     Reason = "unresolved"      // the destination's settings cannot be used or read now
	ReasonExhausted      Reason = "exhausted"       // max_attempts used up
	ReasonExpired        Reason = "expired"         // older than max_age
	ReasonSuperseded     Reason = "superseded"      // an event that a newer one replaced
	ReasonDiscarded      Reason = "discarded"       // by a named operator, or with its channel
	ReasonUndeliverable  Reason = "undeliverable"   // stored but unreadable: cannot be rendered into a request
)

// Reasons lists every Reason, for metrics that start at zero and for documentation.
func Reasons() []Reason {
	return []Reason{
		ReasonOK, ReasonKept, ReasonTimeout, ReasonDNS, ReasonRefused, ReasonReset, ReasonTLS,
		ReasonBlockedAddress, ReasonRedirect, ReasonGone, ReasonRateLimited, ReasonStatus4xx,
		ReasonStatus5xx, ReasonNetwork, ReasonBadAnswer, ReasonAmbiguous, ReasonUnresolved, ReasonExhausted, ReasonExpired,
		ReasonSuperseded, ReasonDiscarded, ReasonUndeliverable,
	}
}

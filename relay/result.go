package relay

import "time"

// Result is what one try at delivering a message came to, before anybody decides what that
// means for the message.
type Result struct {
	Reason     Reason
	Status     int           // HTTP status; 0 when no answer came
	Duration   time.Duration // of the request
	RetryAfter time.Duration // what the receiver asked for with a 429 or 503; 0 when it did not
	Response   string        // the first KiB of the answer's body, valid UTF-8
	Error      string        // what failed, without secrets
	TicketID   int64         // learnt from the helpdesk's answer; 0 when none was
	Final      bool          // not to be tried again, whatever the reason
	By         string        // who deleted the destination, with ReasonDiscarded
}

// Fault says whose fault a failure is, which decides how it is retried.
type Fault int

// The faults.
const (
	NoFault       Fault = iota // delivered
	EndpointFault              // the endpoint is in trouble: any message would have failed; counts for the breaker
	MessageFault               // this message is refused; others may pass
	FinalFault                 // trying again is pointless or unwanted
	ServiceFault               // the relay itself could not try; uses up no attempt
)

// Fault classifies the reason of an attempt; it is the whole of the retry decision that
// does not depend on counts and clocks.
func (r Reason) Fault() Fault {
	switch r {
	case ReasonOK, ReasonKept:
		return NoFault
	case ReasonTimeout, ReasonDNS, ReasonRefused, ReasonReset, ReasonTLS, ReasonBlockedAddress,
		ReasonRedirect, ReasonRateLimited, ReasonStatus5xx, ReasonNetwork, ReasonAmbiguous:
		return EndpointFault
	case ReasonStatus4xx, ReasonBadAnswer:
		return MessageFault
	case ReasonUnresolved:
		return ServiceFault
	}
	return FinalFault
}

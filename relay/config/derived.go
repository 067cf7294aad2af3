package config

import (
	"net"
	"strings"
	"time"

	"omnirelay/relay"
)

// Policy is how messages go to a channel that sets nothing of its own.
func (d Delivery) Policy() relay.Policy {
	p := relay.DefaultPolicy()
	p.Concurrency, p.Timeout = d.Concurrency, d.Timeout
	p.RetryPolicy = relay.RetryPolicy{MaxAttempts: d.MaxAttempts, MaxAge: d.MaxAge, Initial: d.RetryInitial, Max: d.RetryMax}
	return p
}

// HelpdeskPolicy is how messages go to the helpdesk: retried as delivery says, limited as
// helpdesk says.
func (c Config) HelpdeskPolicy() relay.Policy {
	p := c.Delivery.Policy()
	p.Concurrency, p.Timeout, p.RateLimit = c.Helpdesk.Concurrency, c.Helpdesk.Timeout, c.Helpdesk.RateLimit
	return p
}

// Zone is the time zone of sendAt.
func (i Intake) Zone() *time.Location {
	zone, err := time.LoadLocation(i.SendAtZone)
	if err != nil {
		return time.UTC // Load lets no such name pass
	}
	return zone
}

// BaseURL is how others reach the relay, without a slash at the end. Where PublicURL is not
// set it is made of the address that the API really listens on, as a port of 0 is known
// only then; an address of every interface becomes the loopback's.
func (c Config) BaseURL(listening net.Addr) string {
	if c.PublicURL != "" {
		return strings.TrimRight(c.PublicURL, "/")
	}
	host, port, err := net.SplitHostPort(listening.String())
	if err != nil {
		return "http://" + listening.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

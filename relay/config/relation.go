package config

import (
	"fmt"
	"net"
	"time"

	"omnirelay/signer"
)

// relation reports a problem of the first path, at the place where its value, or else one
// of the others', was given. It keeps quiet when one of them has a problem of its own.
func (l *loading) relation(message string, paths ...string) {
	var at origin
	for _, path := range paths {
		if l.bad[path] {
			return
		}
		if at.isDefault() {
			at = l.origins[path]
		}
	}
	l.problem(Problem{Source: at.source, Line: at.line, Column: at.column, Path: paths[0], Message: message})
}

// given reports whether the setting was set at all.
func (l *loading) given(path string) bool { return !l.origins[path].isDefault() }

// checkRelations checks the settings against each other.
func (l *loading) checkRelations() {
	c := &l.config
	if _, port, _ := net.SplitHostPort(c.Listen); c.Listen == c.AdminListen && port != "0" {
		l.relation("must differ from listen", "admin_listen", "listen")
	}
	if c.Delivery.RetryMax < c.Delivery.RetryInitial {
		l.relation(fmt.Sprintf("must not be less than delivery.retry_initial (%s)", shortDuration(c.Delivery.RetryInitial)),
			"delivery.retry_max", "delivery.retry_initial")
	}
	if c.Delivery.QueueBytes > c.Delivery.Memory {
		l.relation(fmt.Sprintf("must not be more than delivery.memory (%s)", c.Delivery.Memory), "delivery.queue_bytes", "delivery.memory")
	}
	if c.Delivery.DownloadLifetime < c.Delivery.MaxAge {
		l.relation(fmt.Sprintf("must not be less than delivery.max_age (%s)", shortDuration(c.Delivery.MaxAge)),
			"delivery.download_lifetime", "delivery.max_age")
	}
	if c.Intake.ReadHeaderTimeout > c.Intake.ReadTimeout {
		l.relation(fmt.Sprintf("must not be more than intake.read_timeout (%s)", shortDuration(c.Intake.ReadTimeout)),
			"intake.read_header_timeout", "intake.read_timeout")
	}
	l.checkNATS()
	l.checkHelpdesk()
}

func (l *loading) checkNATS() {
	n, q := &l.config.NATS, &l.config.Queue
	if len(n.URLs) == 0 && !l.bad["nats.urls"] {
		for _, path := range []string{"nats.creds", "nats.user", "nats.password", "nats.token", "nats.ca_file", "nats.cert_file", "nats.key_file"} {
			if l.given(path) {
				l.relation("is for an external cluster; set nats.urls too", path)
			}
		}
		if n.Replicas != 1 {
			l.relation("must be 1 for the embedded store; set nats.urls for an external cluster", "nats.replicas")
		}
		if q.MaxStore > 0 && q.MaxBytes > q.MaxStore {
			l.relation(fmt.Sprintf("must not be more than queue.max_store (%s)", q.MaxStore), "queue.max_bytes", "queue.max_store")
		}
		return
	}
	if q.MaxStore > 0 {
		l.relation("is for the embedded store; limit an external cluster in its own files", "queue.max_store")
	}
	if (n.User == "") != n.Password.IsZero() {
		l.relation("user and password go together", "nats.user", "nats.password")
	}
	if (n.CertFile == "") != (n.KeyFile == "") {
		l.relation("cert_file and key_file go together", "nats.cert_file", "nats.key_file")
	}
	ways := 0
	for _, set := range []bool{n.Creds != "", n.User != "" || !n.Password.IsZero(), !n.Token.IsZero()} {
		if set {
			ways++
		}
	}
	if ways > 1 {
		l.relation("choose one of creds, user with password, and token", "nats.creds", "nats.token", "nats.user")
	}
}

func (l *loading) checkHelpdesk() {
	h := &l.config.Helpdesk
	if ttl := time.Duration(h.TicketTTL); ttl != 0 && ttl < time.Minute {
		l.relation("must be at least 1m, or 0 to remember none", "helpdesk.ticket_ttl")
	}
	if l.bad["helpdesk.kind"] {
		return
	}
	need := map[string][]string{
		HelpdeskWebhook:  {"helpdesk.url"},
		HelpdeskOmnidesk: {"helpdesk.base_url", "helpdesk.api_key"},
	}
	for _, path := range need[h.Kind] {
		if !l.given(path) {
			l.relation("is needed for helpdesk.kind "+h.Kind, path, "helpdesk.kind")
		}
	}
	if !h.Secret.IsZero() {
		if _, err := signer.ParseSecret(h.Secret.Reveal()); err != nil {
			l.relation(err.Error(), "helpdesk.secret")
		}
	}
	// A kind that was chosen may leave the settings of another kind standing, so that one
	// variable can switch the helpdesk off; without a kind they are a kind forgotten.
	if l.given("helpdesk.kind") {
		return
	}
	for _, s := range l.settings {
		if s.section() == "helpdesk" && l.given(s.path) && s.path != "helpdesk.kind" {
			l.relation("has no effect without helpdesk.kind", s.path)
		}
	}
}

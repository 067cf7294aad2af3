package config

import (
	"net/netip"
	"time"

	"omnirelay/relay"
)

// The comments of the fields below are the only documentation of the settings: the example
// file and the command line show them. A comment starts with the name of its field. The
// tags hold the rules: min and max, oneof, form (see checkForm), and an example to show
// where there is no default.

// Config is every setting of the daemon. Load makes one that is complete and consistent.
type Config struct {
	// Listen is the address of the API, the hooks and the console, as host:port. An empty
	// host means every interface; put a TLS proxy in front before doing that.
	Listen string `yaml:"listen" form:"listen"`

	// AdminListen is the address of health checks, metrics and profiles, as host:port. It
	// asks for no key, so keep it from strangers.
	AdminListen string `yaml:"admin_listen" form:"listen"`

	// PublicURL is how others reach the relay: the base of hook and download URLs. Without
	// it they start with http:// and the listen address.
	PublicURL string `yaml:"public_url" form:"url" example:"https://relay.example.com"`

	// DataDir is the directory of the embedded message store and of the first key. It is made
	// when missing, readable for its owner only.
	DataDir string `yaml:"data_dir" form:"path"`

	// BootstrapKey is a fixed first API key with every permission, at least 16 characters.
	// Without it the first start makes a key and writes it to the data directory.
	BootstrapKey Secret `yaml:"bootstrap_key" min:"16" example:"what openssl rand -hex 32 prints"`

	// Sync says when the embedded store is flushed to disk. With always, an accepted message
	// survives a power cut. With interval (one second) it survives a crash of the relay, but
	// a power cut may take the last second; that is faster. An external cluster has its own
	// setting, in its own files.
	Sync string `yaml:"sync" oneof:"always interval"`

	// ShutdownTimeout is how long a stop waits for requests and deliveries under way before
	// it cuts them off. What is cut off is tried again at the next start.
	ShutdownTimeout relay.Duration `yaml:"shutdown_timeout" min:"0s" max:"10m"`

	// Log is what the relay says about its work, on standard error.
	Log Log `yaml:"log"`

	// NATS is an external NATS cluster with JetStream, in place of the embedded store.
	// Several relays on one cluster share the work.
	NATS NATS `yaml:"nats"`

	// Queue is the message store.
	Queue Queue `yaml:"queue"`

	// Intake bounds what one request may bring.
	Intake Intake `yaml:"intake"`

	// Delivery is how messages go out to a channel that sets nothing of its own.
	Delivery Delivery `yaml:"delivery"`

	// Egress says where deliveries may go.
	Egress Egress `yaml:"egress"`

	// Chat is live chat.
	Chat Chat `yaml:"chat"`

	// Helpdesk is where customers' messages go.
	Helpdesk Helpdesk `yaml:"helpdesk"`

	origins map[string]origin
}

// Log is the section log.
type Log struct {
	// Level is the least level that is written.
	Level string `yaml:"level" oneof:"trace debug info warn error"`

	// Format is json for machines, console for people, or auto: console on a terminal, json
	// elsewhere.
	Format string `yaml:"format" oneof:"auto json console"`
}

// NATS is the section nats.
type NATS struct {
	// URLs are the cluster's servers (nats://, tls://, ws:// or wss://). Without any, the
	// relay keeps its messages itself, in data_dir. The servers must accept messages of 8 MiB
	// (max_payload).
	URLs []string `yaml:"urls" form:"nats" example:"[nats://nats-1.example.com:4222, nats://nats-2.example.com:4222]"`

	// Creds is the path of a credentials file with a user's JWT and seed.
	Creds string `yaml:"creds" form:"path" example:"/etc/omnirelay/nats.creds"`

	// User is the user's name, where the cluster asks for user and password.
	User string `yaml:"user" example:"omnirelay"`

	// Password is the user's password.
	Password Secret `yaml:"password" example:"a long random text"`

	// Token is the token, where the cluster asks for one.
	Token Secret `yaml:"token" example:"a long random text"`

	// CAFile is the path of a PEM bundle of the authorities to trust in place of the system's.
	CAFile string `yaml:"ca_file" form:"path" example:"/etc/omnirelay/nats-ca.pem"`

	// CertFile is the path of the relay's own certificate (PEM), where the cluster asks for one.
	CertFile string `yaml:"cert_file" form:"path" example:"/etc/omnirelay/nats-cert.pem"`

	// KeyFile is the path of the private key (PEM) of cert_file.
	KeyFile string `yaml:"key_file" form:"path" example:"/etc/omnirelay/nats-key.pem"`

	// Replicas is how many servers keep each message. With 3 the cluster loses one server
	// without losing a message or stopping. The default is 3 with nats.urls and 1 without.
	Replicas int `yaml:"replicas" min:"1" max:"5"`
}

// Queue is the section queue.
type Queue struct {
	// Shards is the number of message logs that destinations are spread over, and the most
	// relays that can share the work. It cannot be changed once the logs exist. The default
	// is 16 with nats.urls, and 1 without: one process gains nothing from more, and one log
	// is flushed to disk once for all.
	Shards int `yaml:"shards" min:"1" max:"256"`

	// MaxBytes is the most that the message logs may hold together. When they are full,
	// senders are told to come back later (503) and nothing stored is lost; 0 means as
	// much as the disk has.
	MaxBytes Bytes `yaml:"max_bytes" min:"0" max:"1024TiB"`

	// MaxStore is the most disk space that the embedded store may use for everything; 0
	// means as much as the disk has.
	MaxStore Bytes `yaml:"max_store" min:"0" max:"1024TiB"`

	// History is how long attempts and delivered messages stay readable. Messages that wait
	// and dead letters are not touched by it.
	History relay.Duration `yaml:"history" min:"1m" max:"8760h"`

	// IdempotencyWindow is how long an Idempotency-Key is remembered. The keys of the window
	// are held in memory.
	IdempotencyWindow relay.Duration `yaml:"idempotency_window" min:"1s" max:"24h"`
}

// Intake is the section intake.
type Intake struct {
	// BodyLimit is the largest request body, attachments aside (413 above it). It has a ceiling
	// since JSON may write one byte as six, and a stored message has at most 8 MiB.
	BodyLimit Bytes `yaml:"body_limit" min:"1KiB" max:"1MiB"`

	// AttachmentLimit is the largest attachment (413 above it). Attachments go to the store
	// as they come in and are never whole in memory.
	AttachmentLimit Bytes `yaml:"attachment_limit" min:"1KiB" max:"1GiB"`

	// SendAtZone is the time zone that the field sendAt is read in, as it names none. It is an
	// IANA name such as Europe/Amsterdam.
	SendAtZone string `yaml:"send_at_zone" form:"zone"`

	// ReadHeaderTimeout is how long a client may take to send a request's headers.
	ReadHeaderTimeout relay.Duration `yaml:"read_header_timeout" min:"100ms" max:"5m"`

	// ReadTimeout is how long a client may take to send a whole request, its attachment
	// included.
	ReadTimeout relay.Duration `yaml:"read_timeout" min:"100ms" max:"1h"`

	// IdleTimeout is how long a connection without a request is kept open.
	IdleTimeout relay.Duration `yaml:"idle_timeout" min:"1s" max:"1h"`
}

// Delivery is the section delivery.
type Delivery struct {
	// Concurrency is how many requests to one destination may be under way at once, over all
	// its conversations. Within one conversation it is always one.
	Concurrency int `yaml:"concurrency" min:"1" max:"1024"`

	// Timeout is how long one request may take, from dialling to the end of the answer.
	Timeout relay.Duration `yaml:"timeout" min:"100ms" max:"5m"`

	// MaxAttempts is how often a message is tried before it becomes a dead letter.
	MaxAttempts int `yaml:"max_attempts" min:"1" max:"100"`

	// MaxAge is how old a message may get, counted from acceptance, before it becomes a dead
	// letter. Time on hold does not count.
	MaxAge relay.Duration `yaml:"max_age" min:"1s" max:"720h"`

	// RetryInitial is the longest wait after the first failure. It doubles with each further
	// failure; the wait itself is random between nothing and that.
	RetryInitial relay.Duration `yaml:"retry_initial" min:"10ms" max:"24h"`

	// RetryMax is where the doubling ends.
	RetryMax relay.Duration `yaml:"retry_max" min:"10ms" max:"24h"`

	// TotalConcurrency is how many deliveries may be under way at once over all destinations. Where
	// that is reached, those that answer go before those of which it is not known, and these
	// before those that only fail. It is never more than a quarter of the files that the
	// process may have open (ulimit -n).
	TotalConcurrency int `yaml:"total_concurrency" min:"1" max:"262144"`

	// QueueMessages is how many messages of one destination wait in memory. A destination with
	// more reads its backlog from the store at its own pace.
	QueueMessages int `yaml:"queue_messages" min:"1" max:"100000"`

	// QueueBytes is how many bytes of one destination's messages wait in memory.
	QueueBytes Bytes `yaml:"queue_bytes" min:"64KiB" max:"1GiB"`

	// Memory is how many bytes of messages wait in memory over all destinations.
	Memory Bytes `yaml:"memory" min:"1MiB" max:"64GiB"`

	// BreakerFailures is how many failures of an endpoint in a row make the relay stop sending
	// there but for one probe at a time. That time uses up no attempts.
	BreakerFailures int `yaml:"breaker_failures" min:"1" max:"1000"`

	// BreakerMaxWait is the longest wait between two probes.
	BreakerMaxWait relay.Duration `yaml:"breaker_max_wait" min:"100ms" max:"24h"`

	// DownloadLifetime is how long the address of a file that goes out with a message is good,
	// counted from the message's acceptance. It may not be less than max_age, or a message
	// that waited could arrive with an address that is dead.
	DownloadLifetime relay.Duration `yaml:"download_lifetime" min:"1m" max:"8760h"`
}

// Chat is the section chat.
type Chat struct {
	// SessionTTL is how long a chat session may be silent before it is forgotten: then its
	// events are refused (404), replies find it no more, and it waits in no queue.
	SessionTTL relay.Duration `yaml:"session_ttl" min:"1m" max:"720h"`
}

// Egress is the section egress.
type Egress struct {
	// Allow are address ranges that deliveries may reach although they are private, loopback
	// or otherwise not of the public internet. All of those are refused by default, so that
	// nobody who can create a channel can reach what only the relay's own network can.
	Allow []netip.Prefix `yaml:"allow" example:"[10.20.0.0/16, 127.0.0.1/32]"`
}

// Helpdesk is the section helpdesk.
type Helpdesk struct {
	// Kind is none (messages are kept and readable), webhook (signed JSON goes to url), or
	// omnidesk (the calls go on to an Omnidesk account at base_url).
	Kind string `yaml:"kind" oneof:"none webhook omnidesk"`

	// URL is where kind webhook posts to.
	URL string `yaml:"url" form:"url" example:"https://desk.example.com/inbound"`

	// Secret signs what kind webhook posts (Standard Webhooks): whsec_ and base64, or any text.
	// Without it nothing is signed.
	Secret Secret `yaml:"secret" example:"whsec_and_base64"`

	// BaseURL is the account's address for kind omnidesk, without /api/v2.
	BaseURL string `yaml:"base_url" form:"base_url" example:"https://account.omnidesk.com"`

	// APIKey is the account's API key for kind omnidesk.
	APIKey Secret `yaml:"api_key" example:"a long random text"`

	// APIKeyIn is where the key goes: into the header apiKey or into the query.
	APIKeyIn string `yaml:"api_key_in" oneof:"header query"`

	// RateLimit is the most messages a second that go to the helpdesk; 0 means no limit.
	RateLimit float64 `yaml:"rate_limit" min:"0" max:"100000"`

	// Concurrency is how many requests to the helpdesk may be under way at once.
	Concurrency int `yaml:"concurrency" min:"1" max:"1024"`

	// Timeout is how long one request to the helpdesk may take.
	Timeout relay.Duration `yaml:"timeout" min:"100ms" max:"5m"`

	// TicketTTL is how long the ticket that an Omnidesk account named for a customer of a custom
	// channel is remembered after the customer's last message; 0 remembers none.
	TicketTTL relay.Duration `yaml:"ticket_ttl" min:"0s" max:"8760h"`

	// OnTimeout says what to do when an Omnidesk account gave no answer and may or may not
	// have taken the message: retry may repeat it there, dead leaves it to an operator.
	OnTimeout string `yaml:"on_timeout" oneof:"retry dead"`
}

// The values of Config.Sync.
const (
	SyncAlways   = "always"
	SyncInterval = "interval"
)

// The values of Log.Format.
const (
	LogAuto    = "auto"
	LogJSON    = "json"
	LogConsole = "console"
)

// The values of Helpdesk.Kind.
const (
	HelpdeskNone     = "none"
	HelpdeskWebhook  = "webhook"
	HelpdeskOmnidesk = "omnidesk"
)

// The values of Helpdesk.APIKeyIn.
const (
	KeyInHeader = "header"
	KeyInQuery  = "query"
)

// The values of Helpdesk.OnTimeout.
const (
	OnTimeoutRetry = "retry"
	OnTimeoutDead  = "dead"
)

// Default is the configuration of a daemon that is given neither file nor environment.
func Default() Config {
	p := relay.DefaultPolicy()
	return Config{
		Listen:          "127.0.0.1:8080",
		AdminListen:     "127.0.0.1:8081",
		DataDir:         "./data",
		Sync:            SyncAlways,
		ShutdownTimeout: relay.Duration(30 * time.Second),
		Log:             Log{Level: "info", Format: LogAuto},
		NATS:            NATS{Replicas: 1},
		Queue: Queue{
			Shards:            1,
			History:           relay.Duration(168 * time.Hour),
			IdempotencyWindow: relay.Duration(time.Hour),
		},
		Intake: Intake{
			BodyLimit:         1 << 20,
			AttachmentLimit:   25 << 20,
			SendAtZone:        "UTC",
			ReadHeaderTimeout: relay.Duration(10 * time.Second),
			ReadTimeout:       relay.Duration(time.Minute),
			IdleTimeout:       relay.Duration(2 * time.Minute),
		},
		Delivery: Delivery{
			Concurrency:     p.Concurrency,
			Timeout:         p.Timeout,
			MaxAttempts:     p.MaxAttempts,
			MaxAge:          p.MaxAge,
			RetryInitial:    p.Initial,
			RetryMax:        p.Max,
			QueueMessages:   256,
			QueueBytes:      4 << 20,
			Memory:          64 << 20,
			BreakerFailures: 5,
			BreakerMaxWait:  relay.Duration(5 * time.Minute),

			TotalConcurrency: 4096,
			DownloadLifetime: relay.Duration(168 * time.Hour),
		},
		Chat: Chat{SessionTTL: relay.Duration(24 * time.Hour)},
		Helpdesk: Helpdesk{
			Kind:        HelpdeskNone,
			APIKeyIn:    KeyInHeader,
			Concurrency: p.Concurrency,
			Timeout:     p.Timeout,
			TicketTTL:   relay.Duration(168 * time.Hour),
			OnTimeout:   OnTimeoutRetry,
		},
	}
}

// withCluster fills the defaults that an external cluster changes.
func (c *Config) withCluster() {
	if len(c.NATS.URLs) == 0 {
		return
	}
	if c.origins["nats.replicas"].isDefault() {
		c.NATS.Replicas = 3
	}
	if c.origins["queue.shards"].isDefault() {
		c.Queue.Shards = 16
	}
}

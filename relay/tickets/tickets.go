// Package tickets remembers in which ticket of the helpdesk a customer of a custom channel
// is, as the helpdesk's answers named it: the customer's next message then goes into that
// ticket, and an agent's message in it finds the customer's address.
package tickets

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Bucket is the name of the KV bucket, which all instances share.
const Bucket = "RELAY_TICKETS"

// Options are the options of Tickets.
type Options struct {
	// TTL is how long a ticket is remembered after the customer's last message, exact to a
	// quarter of it; required.
	TTL      time.Duration
	Replicas int // copies in a cluster; 0 means 1
	// Most is how many customers are remembered: those who wrote last. Default 100,000, for
	// which the embedded store takes about 40 MB of memory.
	Most int
}

const defaultMost = 100_000

// Customer is who writes on a custom channel.
type Customer struct {
	ChannelID int64
	Address   string // fromAddress
}

// Tickets is the memory. Nothing of it is held by this process: every question asks the
// bucket, so that what one instance learns all know. What is stored is two records for each
// customer.
//
// Writes are not flushed before they count: a power cut costs the memory of its last moments,
// and the helpdesk then finds the ticket by itself.
type Tickets struct {
	o  Options
	kv jetstream.KeyValue
}

// Open makes the bucket when it is missing, and gives it the TTL.
func Open(ctx context.Context, js jetstream.JetStream, o Options) (*Tickets, error) {
	if o.TTL <= 0 {
		return nil, errors.New("tickets must be remembered for longer than nothing")
	}
	// The stream under the bucket is laid out as the client's own (ADR-8), except that it drops
	// its oldest record when it is full, where the client would have it refuse the newest.
	_, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:              "KV_" + Bucket,
		Description:       "omnirelay: the helpdesk's tickets of custom channels' customers",
		Subjects:          []string{"$KV." + Bucket + ".>"},
		MaxMsgsPerSubject: 1,
		MaxMsgs:           2 * int64(cmp.Or(o.Most, defaultMost)),
		MaxAge:            o.TTL,
		Duplicates:        min(o.TTL, 2*time.Minute), // of no use here, and may not be longer than MaxAge
		Discard:           jetstream.DiscardOld,
		Replicas:          max(o.Replicas, 1),
		AllowRollup:       true,
		DenyDelete:        true,
		AllowDirect:       true,
	})
	if err != nil {
		return nil, fmt.Errorf("opening the bucket %s: %w", Bucket, err)
	}
	kv, err := js.KeyValue(ctx, Bucket)
	if err != nil {
		return nil, fmt.Errorf("opening the bucket %s: %w", Bucket, err)
	}
	return &Tickets{o: o, kv: kv}, nil
}

// The bucket's keys: a customer's ticket, and a ticket's address. An address may be anything,
// so its digest names it.
func (c Customer) key() string {
	sum := sha256.Sum256([]byte(strconv.FormatInt(c.ChannelID, 10) + "\n" + c.Address))
	return "customer." + hex.EncodeToString(sum[:16])
}

func ticketKey(channelID, ticketID int64) string {
	return fmt.Sprintf("ticket.%d.%d", channelID, ticketID)
}

// Of is the ticket that a customer is in; 0 when none is remembered.
func (t *Tickets) Of(ctx context.Context, c Customer) (ticketID int64, err error) {
	ticketID, _, err = t.of(ctx, c)
	return ticketID, err
}

func (t *Tickets) of(ctx context.Context, c Customer) (ticketID int64, at time.Time, err error) {
	e, err := t.kv.Get(ctx, c.key())
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0, time.Time{}, nil
	}
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("looking up a customer's ticket: %w", err)
	}
	ticketID, err = strconv.ParseInt(string(e.Value()), 10, 64)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("reading a customer's ticket: %w", err)
	}
	return ticketID, e.Created(), nil
}

// Address is the address of the customer of a channel who is in a ticket; "" when none is
// remembered.
func (t *Tickets) Address(ctx context.Context, channelID, ticketID int64) (string, error) {
	e, err := t.kv.Get(ctx, ticketKey(channelID, ticketID))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("looking up the customer of ticket %d: %w", ticketID, err)
	}
	return string(e.Value()), nil
}

// Learn notes that a customer is in a ticket, as of now.
func (t *Tickets) Learn(ctx context.Context, c Customer, ticketID int64) error {
	known, at, err := t.of(ctx, c)
	if err == nil && known == ticketID && time.Since(at) < t.o.TTL/4 {
		return nil
	}
	// The ticket's record first: whoever finds the other finds this one too.
	if _, err := t.kv.PutString(ctx, ticketKey(c.ChannelID, ticketID), c.Address); err != nil {
		return fmt.Errorf("remembering the customer of ticket %d: %w", ticketID, err)
	}
	if _, err := t.kv.PutString(ctx, c.key(), strconv.FormatInt(ticketID, 10)); err != nil {
		return fmt.Errorf("remembering ticket %d: %w", ticketID, err)
	}
	return nil
}

// Forget drops a customer's ticket, so that the helpdesk finds or makes one for the next
// message. Agents' messages in the old ticket still find the customer.
func (t *Tickets) Forget(ctx context.Context, c Customer) error {
	if err := t.kv.Delete(ctx, c.key()); err != nil {
		return fmt.Errorf("forgetting a customer's ticket: %w", err)
	}
	return nil
}

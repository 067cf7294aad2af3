package endpoints

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"omnirelay/relay"
	"omnirelay/signer"
)

// Tombstone is what stays of a deleted channel, for ever: its id is never used again, and
// messages still on their way to it can be told why they end.
type Tombstone struct {
	ID        int64     `json:"id"`
	Name      string    `json:"name"`
	DeletedBy string    `json:"deleted_by"`
	DeletedAt time.Time `json:"deleted_at"`
}

// record is what the bucket holds under an id: a channel or its tombstone.
type record struct {
	channel   Channel
	tombstone *Tombstone
}

// storedRecord is the JSON of a record; exactly one field is set.
type storedRecord struct {
	Channel   *storedChannel `json:"channel,omitempty"`
	Tombstone *Tombstone     `json:"tombstone,omitempty"`
}

// storedChannel is the JSON of a channel, and the one form that has its secrets in clear:
// signing needs them.
type storedChannel struct {
	ID                     int64            `json:"id"`
	Name                   string           `json:"name"`
	Icon                   string           `json:"icon"`
	Endpoint               string           `json:"custom_channel_endpoint"`
	Secret                 string           `json:"custom_channel_secret,omitempty"`
	Previous               []storedPrevious `json:"previous_secrets,omitempty"`
	IncludeSignature       bool             `json:"include_signature"`
	WarningEN              string           `json:"custom_channel_warning_en,omitempty"`
	WarningNL              string           `json:"custom_channel_warning_nl,omitempty"`
	AvailableInQuickTicket bool             `json:"custom_channel_available_in_quick_ticket"`
	StatusCallback         string           `json:"status_callback,omitempty"`
	HookToken              string           `json:"hook_token"`
	CreatedAt              time.Time        `json:"created_at"`
	UpdatedAt              time.Time        `json:"updated_at"`
	relay.Policy
}

type storedPrevious struct {
	Secret string    `json:"secret"`
	Until  time.Time `json:"until"`
}

func encodeRecord(r record) ([]byte, error) {
	if r.tombstone != nil {
		return json.Marshal(storedRecord{Tombstone: r.tombstone})
	}
	c := r.channel
	s := storedChannel{
		ID:                     c.ID,
		Name:                   c.Name,
		Icon:                   c.Icon,
		Endpoint:               c.Endpoint,
		Secret:                 c.Secret.Reveal(),
		IncludeSignature:       c.IncludeSignature,
		WarningEN:              c.WarningEN,
		WarningNL:              c.WarningNL,
		AvailableInQuickTicket: c.AvailableInQuickTicket,
		StatusCallback:         c.StatusCallback,
		HookToken:              c.HookToken.Reveal(),
		CreatedAt:              c.CreatedAt,
		UpdatedAt:              c.UpdatedAt,
		Policy:                 c.Overrides,
	}
	for _, p := range c.Previous {
		s.Previous = append(s.Previous, storedPrevious{Secret: p.Secret.Reveal(), Until: p.Until})
	}
	return json.Marshal(storedRecord{Channel: &s})
}

func decodeRecord(key string, data []byte) (record, error) {
	var r storedRecord
	if err := json.Unmarshal(data, &r); err != nil {
		return record{}, err
	}
	switch {
	case (r.Channel == nil) == (r.Tombstone == nil):
		return record{}, errors.New("it is neither a channel nor a deleted one")
	case r.Tombstone != nil:
		return record{tombstone: r.Tombstone}, checkKey(key, r.Tombstone.ID)
	}
	c, err := r.Channel.channel()
	if err != nil {
		return record{}, err
	}
	return record{channel: c}, checkKey(key, c.ID)
}

func checkKey(key string, id int64) error {
	if key != keyOf(id) {
		return fmt.Errorf("it is about channel %d", id)
	}
	return nil
}

func (s storedChannel) channel() (Channel, error) {
	c := Channel{
		ID:                     s.ID,
		Name:                   s.Name,
		Icon:                   s.Icon,
		Endpoint:               s.Endpoint,
		IncludeSignature:       s.IncludeSignature,
		WarningEN:              s.WarningEN,
		WarningNL:              s.WarningNL,
		AvailableInQuickTicket: s.AvailableInQuickTicket,
		StatusCallback:         s.StatusCallback,
		Overrides:              s.Policy,
		CreatedAt:              s.CreatedAt,
		UpdatedAt:              s.UpdatedAt,
	}
	var err error
	if c.Secret, err = storedSecret(s.Secret); err != nil {
		return Channel{}, fmt.Errorf("its secret: %w", err)
	}
	if c.HookToken, err = storedSecret(s.HookToken); err != nil {
		return Channel{}, fmt.Errorf("its hook token: %w", err)
	}
	for _, p := range s.Previous {
		secret, err := signer.ParseSecret(p.Secret)
		if err != nil {
			return Channel{}, fmt.Errorf("its previous secret: %w", err)
		}
		c.Previous = append(c.Previous, PreviousSecret{Secret: secret, Until: p.Until})
	}
	return c, nil
}

func storedSecret(text string) (signer.Secret, error) {
	if text == "" {
		return signer.Secret{}, nil
	}
	return signer.ParseSecret(text)
}

package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"omnirelay/signer"
)

// storedAccount is the JSON of an account, and the one form that has its secrets in clear:
// signing needs them.
type storedAccount struct {
	Name           string    `json:"name"`
	Token          string    `json:"token"`
	AllowedServers []string  `json:"allowed_chat_servers,omitempty"`
	AllowedOrigins []string  `json:"allowed_origins,omitempty"`
	Blacklist      []string  `json:"blacklisted_ips,omitempty"`
	Languages      []string  `json:"languages,omitempty"`
	OpeningHours   []string  `json:"opening_hours,omitempty"`
	TimeZone       string    `json:"time_zone,omitempty"`
	MaxQueue       int       `json:"max_queue,omitempty"`
	Secret         string    `json:"secret,omitempty"`
	Previous       string    `json:"previous_secret,omitempty"`
	PreviousUntil  time.Time `json:"previous_secret_until,omitzero"`
	HookToken      string    `json:"hook_token"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
}

func encodeAccount(a Account) ([]byte, error) {
	return json.Marshal(storedAccount{
		Name: a.Name, Token: a.Token,
		AllowedServers: a.AllowedServers, AllowedOrigins: a.AllowedOrigins,
		Blacklist: a.BlacklistedIPs(), Languages: a.Languages,
		OpeningHours: a.OpeningHours(), TimeZone: a.Hours.Zone, MaxQueue: a.MaxQueue,
		Secret: a.Secret.Reveal(), Previous: a.Previous.Secret.Reveal(), PreviousUntil: a.Previous.Until,
		HookToken: a.HookToken.Reveal(), CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
	})
}

func decodeAccount(key string, data []byte) (Account, error) {
	var s storedAccount
	if err := json.Unmarshal(data, &s); err != nil {
		return Account{}, err
	}
	a := Account{
		ID: accountID(s.Token), Name: s.Name, Token: s.Token,
		AllowedServers: s.AllowedServers, AllowedOrigins: s.AllowedOrigins, Languages: s.Languages,
		MaxQueue: s.MaxQueue, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
	if a.ID != key {
		return Account{}, errors.New("its token belongs to another account")
	}
	var problems Problems
	a.Hours = Hours{Zone: s.TimeZone, Periods: parseEach(s.OpeningHours, &problems, "opening_hours", ParsePeriod)}
	a.Blacklist = parseEach(s.Blacklist, &problems, "blacklisted_ips", func(text string) (netip.Prefix, error) {
		r, ok := parseRange(text)
		if !ok {
			return r, errors.New("holds what is no address")
		}
		return r, nil
	})
	if err := problems.Err(); err != nil {
		return Account{}, err
	}
	for _, secret := range []struct {
		name, text string
		to         *signer.Secret
	}{{"secret", s.Secret, &a.Secret}, {"previous secret", s.Previous, &a.Previous.Secret}, {"hook token", s.HookToken, &a.HookToken}} {
		if secret.text == "" {
			continue
		}
		var err error
		if *secret.to, err = signer.ParseSecret(secret.text); err != nil {
			return Account{}, fmt.Errorf("its %s: %w", secret.name, err)
		}
	}
	a.Previous.Until = s.PreviousUntil
	return a, nil
}

// BlacklistedIPs are the blacklisted addresses and ranges as text.
func (a Account) BlacklistedIPs() []string {
	var texts []string
	for _, p := range a.Blacklist {
		texts = append(texts, formatRange(p))
	}
	return texts
}

// OpeningHours are the opening hours as text, one entry a period.
func (a Account) OpeningHours() []string {
	var texts []string
	for _, p := range a.Hours.Periods {
		texts = append(texts, p.String())
	}
	return texts
}

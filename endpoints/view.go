package endpoints

import (
	"time"

	"omnirelay/relay"
)

// View is a channel as the API shows it: every field, the limits that count, no secret.
type View struct {
	ID                     int64     `json:"id"`
	Name                   string    `json:"name"`
	Icon                   string    `json:"icon"`
	Endpoint               string    `json:"custom_channel_endpoint"`
	SecretSet              bool      `json:"custom_channel_secret_set"`
	PreviousSecretsUntil   time.Time `json:"custom_channel_previous_secrets_until,omitzero"` // end of a rotation under way
	IncludeSignature       bool      `json:"include_signature"`
	WarningEN              string    `json:"custom_channel_warning_en"`
	WarningNL              string    `json:"custom_channel_warning_nl"`
	AvailableInQuickTicket bool      `json:"custom_channel_available_in_quick_ticket"`
	relay.Policy
	StatusCallback string    `json:"status_callback"`
	HookToken      string    `json:"hook_token,omitempty"` // for callers who may change the channel
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
}

// View is the channel for an API answer. The hook token, with which messages can be handed
// in, is in it only when withHook is set: for callers who may change channels.
func (c Channel) View(withHook bool) View {
	v := View{
		ID:                     c.ID,
		Name:                   c.Name,
		Icon:                   c.Icon,
		Endpoint:               c.Endpoint,
		SecretSet:              !c.Secret.IsZero(),
		IncludeSignature:       c.IncludeSignature,
		WarningEN:              c.WarningEN,
		WarningNL:              c.WarningNL,
		AvailableInQuickTicket: c.AvailableInQuickTicket,
		Policy:                 c.Policy(),
		StatusCallback:         c.StatusCallback,
		CreatedAt:              c.CreatedAt,
		UpdatedAt:              c.UpdatedAt,
	}
	now := time.Now()
	for _, p := range c.Previous {
		if p.Until.After(now) && p.Until.After(v.PreviousSecretsUntil) {
			v.PreviousSecretsUntil = p.Until
		}
	}
	if withHook {
		v.HookToken = c.HookToken.Reveal()
	}
	return v
}

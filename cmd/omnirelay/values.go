package main

import (
	"errors"
	"strconv"
	"time"

	"omnirelay/relay"
)

// timeValue is a flag that names a time: RFC 3339, or how long ago.
type timeValue struct {
	at  time.Time
	now func() time.Time
}

// String implements pflag.Value.
func (v *timeValue) String() string {
	if v.at.IsZero() {
		return ""
	}
	return v.at.Format(time.RFC3339)
}

// Type implements pflag.Value; it is what the help calls the value.
func (v *timeValue) Type() string { return "time" }

// Set implements pflag.Value.
func (v *timeValue) Set(text string) error {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		v.at = at
		return nil
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago < 0 {
		return errors.New("must be a time such as 2026-11-22T10:00:00Z, or how long ago, such as 1h30m")
	}
	now := time.Now
	if v.now != nil {
		now = v.now
	}
	v.at = now().Add(-ago)
	return nil
}

// parseChannel reads a channel's id.
func parseChannel(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, misuse("%q is no channel id, which is a whole number, 1 or more", text)
	}
	return id, nil
}

// parseDestination reads a channel's id, or the name of a destination.
func parseDestination(text string) (relay.Destination, error) {
	if id, err := strconv.ParseInt(text, 10, 64); err == nil && id > 0 {
		return relay.ChannelDestination(id), nil
	}
	d, err := relay.ParseDestination(text)
	if _, ok := d.Channel(); err != nil || !ok && d != relay.Helpdesk && !d.Chat() {
		return "", misuse("%q is no destination: give a channel's id, or helpdesk", text)
	}
	return d, nil
}

// parseMessageID reads a message's id.
func parseMessageID(text string) (relay.ID, error) {
	id, err := relay.ParseID(text)
	if err != nil {
		return "", misuseError{err}
	}
	return id, nil
}

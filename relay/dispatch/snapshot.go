package dispatch

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"omnirelay/relay"
)

// snapshot is the stored form of a State.
type snapshot struct {
	Version  int                          `json:"version"`
	Messages relay.Position               `json:"messages"`
	Attempts uint64                       `json:"attempts"`
	Open     map[relay.Destination][]byte `json:"open,omitempty"` // serialized bitmaps
	Early    []byte                       `json:"early,omitempty"`
	Retries  map[relay.Position]Retrying  `json:"retries,omitempty"`
	Faults   map[relay.Destination]int    `json:"faults,omitempty"`
	Replays  map[string]relay.Position    `json:"replays,omitempty"`

	Reopened map[relay.Destination]Reopening `json:"reopened,omitempty"`
}

const snapshotVersion = 1

// Snapshot serializes the State.
func (s *State) Snapshot() ([]byte, error) {
	snap := snapshot{
		Version:  snapshotVersion,
		Messages: s.messages,
		Attempts: s.attempts,
		Open:     make(map[relay.Destination][]byte, len(s.open)),
		Retries:  s.retries,
		Faults:   s.faults,
		Replays:  s.replays,
		Reopened: s.reopened,
	}
	for d, set := range s.open {
		set.RunOptimize()
		b, err := set.ToBytes()
		if err != nil {
			return nil, fmt.Errorf("writing a snapshot: %w", err)
		}
		snap.Open[d] = b
	}
	// What is settled early and was purged before it was folded will never be folded.
	s.early.RemoveRange(0, s.messages+1)
	if !s.early.IsEmpty() {
		var err error
		if snap.Early, err = s.early.ToBytes(); err != nil {
			return nil, fmt.Errorf("writing a snapshot: %w", err)
		}
	}
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("writing a snapshot: %w", err)
	}
	if err := json.NewEncoder(z).Encode(snap); err != nil {
		return nil, fmt.Errorf("writing a snapshot: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("writing a snapshot: %w", err)
	}
	return buf.Bytes(), nil
}

// Restore reads what Snapshot wrote.
func Restore(data []byte) (*State, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("reading a snapshot: %w", err)
	}
	var snap snapshot
	if err := json.NewDecoder(z).Decode(&snap); err != nil {
		return nil, fmt.Errorf("reading a snapshot: %w", err)
	}
	if snap.Version != snapshotVersion {
		return nil, fmt.Errorf("reading a snapshot: version %d is not %d", snap.Version, snapshotVersion)
	}
	s := NewState()
	s.messages, s.attempts = snap.Messages, snap.Attempts
	for d, b := range snap.Open {
		set := roaring64.New()
		if err := set.UnmarshalBinary(b); err != nil {
			return nil, fmt.Errorf("reading a snapshot's %s: %w", d, err)
		}
		s.open[d] = set
	}
	if len(snap.Early) > 0 {
		if err := s.early.UnmarshalBinary(snap.Early); err != nil {
			return nil, fmt.Errorf("reading a snapshot: %w", err)
		}
	}
	if snap.Retries != nil {
		s.retries = snap.Retries
	}
	if snap.Faults != nil {
		s.faults = snap.Faults
	}
	if snap.Replays != nil {
		s.replays = snap.Replays
	}
	if snap.Reopened != nil {
		s.reopened = snap.Reopened
	}
	return s, nil
}

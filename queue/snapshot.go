package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// A snapshot is kept in parts, because it may be larger than one record. There are two
// slots; a new snapshot goes into the one that is not in use and is in force when the head
// record points to it. A crash in the middle leaves the one before.

// snapshotPart is the size of a part, bytes; below the 1 MiB that NATS servers allow by
// default.
const snapshotPart = 512 << 10

type snapshotHead struct {
	Slot  int    `json:"slot"` // 0 or 1
	Parts int    `json:"parts"`
	CRC   uint32 `json:"crc"` // of the whole
}

func snapshotHeadKey(shard int) string { return fmt.Sprintf("shard.%d", shard) }

func snapshotPartKey(shard, slot, part int) string {
	return fmt.Sprintf("shard.%d.%d.%d", shard, slot, part)
}

// SaveSnapshot keeps a shard's snapshot in place of the one before. Only the shard's owner
// may call it.
func (l *Log) SaveSnapshot(ctx context.Context, shard int, data []byte) error {
	before, err := l.snapshotHead(ctx, shard)
	if err != nil {
		return err
	}
	head := snapshotHead{Slot: 1 - before.Slot, CRC: crc32.ChecksumIEEE(data)}
	for part := range slices.Chunk(data, snapshotPart) {
		if _, err := l.snapshots.Put(ctx, snapshotPartKey(shard, head.Slot, head.Parts), part); err != nil {
			return fmt.Errorf("saving the snapshot of shard %d: %w", shard, err)
		}
		head.Parts++
	}
	raw, err := json.Marshal(head)
	if err != nil {
		return fmt.Errorf("saving the snapshot of shard %d: %w", shard, err)
	}
	if _, err := l.snapshots.Put(ctx, snapshotHeadKey(shard), raw); err != nil {
		return fmt.Errorf("saving the snapshot of shard %d: %w", shard, err)
	}
	return nil
}

// LoadSnapshot reads a shard's snapshot; nil when there is none.
func (l *Log) LoadSnapshot(ctx context.Context, shard int) ([]byte, error) {
	head, err := l.snapshotHead(ctx, shard)
	if err != nil {
		return nil, err
	}
	var data bytes.Buffer
	for part := range head.Parts {
		e, err := l.snapshots.Get(ctx, snapshotPartKey(shard, head.Slot, part))
		if err != nil {
			return nil, fmt.Errorf("loading the snapshot of shard %d: %w", shard, err)
		}
		data.Write(e.Value())
	}
	if head.Parts == 0 {
		return nil, nil
	}
	if crc32.ChecksumIEEE(data.Bytes()) != head.CRC {
		return nil, fmt.Errorf("the snapshot of shard %d is damaged; delete bucket %s to rebuild it from the logs", shard, snapshotBucket)
	}
	return data.Bytes(), nil
}

func (l *Log) snapshotHead(ctx context.Context, shard int) (head snapshotHead, err error) {
	e, err := l.snapshots.Get(ctx, snapshotHeadKey(shard))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return head, nil
	}
	if err != nil {
		return head, fmt.Errorf("loading the snapshot of shard %d: %w", shard, err)
	}
	if err := json.Unmarshal(e.Value(), &head); err != nil {
		return head, fmt.Errorf("loading the snapshot of shard %d: %w", shard, err)
	}
	return head, nil
}

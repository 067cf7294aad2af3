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

// A snapshot is kept in parts, because it may be larger than one record. A head record says
// which parts are in force. There are two slots; a new snapshot goes into the one that is not
// in use and is in force once the head points to it: a crash in the middle leaves the one
// before. Each writer has slots of its own, and the head names the only writer that may change
// it next. Loading a snapshot makes the loader that writer, so an owner that was superseded
// without noticing can neither replace nor damage what its successor relies on.

// snapshotPart is the size of a part, bytes; below the 1 MiB that NATS servers allow by
// default.
const snapshotPart = 512 << 10

type snapshotHead struct {
	Owner  string `json:"owner"`  // who loaded it last and may save the next
	Writer string `json:"writer"` // whose parts are in force
	Slot   int    `json:"slot"`   // 0 or 1
	Parts  int    `json:"parts"`
	CRC    uint32 `json:"crc"` // of the whole

	revision uint64
}

func snapshotHeadKey(shard int) string { return fmt.Sprintf("shard.%d", shard) }

func snapshotPartKey(shard int, writer string, slot, part int) string {
	return fmt.Sprintf("shard.%d.%s.%d.%d", shard, writer, slot, part)
}

// LoadSnapshot reads a shard's snapshot, nil when there is none, and takes it over: from now
// on only this Log can save the shard's next one.
func (l *Log) LoadSnapshot(ctx context.Context, shard int) ([]byte, error) {
	head, err := l.claimSnapshot(ctx, shard)
	if err != nil {
		return nil, fmt.Errorf("loading the snapshot of shard %d: %w", shard, err)
	}
	if head.Parts == 0 {
		return nil, nil
	}
	var data bytes.Buffer
	for part := range head.Parts {
		raw, err := l.snapshotRecord(ctx, snapshotPartKey(shard, head.Writer, head.Slot, part))
		if err != nil {
			return nil, fmt.Errorf("loading part %d of the snapshot of shard %d: %w", part, shard, err)
		}
		data.Write(raw.Data)
	}
	if crc32.ChecksumIEEE(data.Bytes()) != head.CRC {
		return nil, fmt.Errorf("the snapshot of shard %d is damaged; bring bucket %s back from a backup, or delete it: then messages of which no attempt is remembered are sent again", shard, snapshotBucket)
	}
	return data.Bytes(), nil
}

// SaveSnapshot keeps a shard's snapshot in place of the one before. ErrConflict means that
// another instance has taken the shard over.
func (l *Log) SaveSnapshot(ctx context.Context, shard int, data []byte) error {
	if err := l.saveSnapshot(ctx, shard, data); err != nil {
		return fmt.Errorf("saving the snapshot of shard %d: %w", shard, err)
	}
	return nil
}

func (l *Log) saveSnapshot(ctx context.Context, shard int, data []byte) error {
	before, err := l.ownSnapshotHead(ctx, shard)
	if err != nil {
		return err
	}
	head := snapshotHead{Owner: l.writer, Writer: l.writer, CRC: crc32.ChecksumIEEE(data), revision: before.revision}
	if before.Writer == l.writer {
		head.Slot = 1 - before.Slot
	}
	for part := range slices.Chunk(data, snapshotPart) {
		if _, err := l.snapshots.Put(ctx, snapshotPartKey(shard, l.writer, head.Slot, head.Parts), part); err != nil {
			return storeError(err)
		}
		head.Parts++
	}
	if err := l.putSnapshotHead(ctx, shard, &head); err != nil {
		return err
	}
	if before.Writer != "" && before.Writer != l.writer {
		// Nothing refers to these any more, and nothing harms when they stay.
		parts := "$KV." + snapshotBucket + "." + snapshotHeadKey(shard) + "." + before.Writer + ".>"
		if err := l.snapshotStream.Purge(ctx, jetstream.WithPurgeSubject(parts)); err != nil {
			l.o.Log.Warn().Err(err).Int("shard", shard).Msg("the parts of an earlier snapshot stay")
		}
	}
	return nil
}

// claimSnapshot makes this Log the only one that may save the next snapshot of a shard.
func (l *Log) claimSnapshot(ctx context.Context, shard int) (snapshotHead, error) {
	for {
		head, err := l.snapshotHead(ctx, shard)
		if err != nil {
			return head, err
		}
		head.Owner = l.writer
		err = l.putSnapshotHead(ctx, shard, &head)
		if !errors.Is(err, ErrConflict) {
			return head, err
		}
		// Its owner saved one in between: that one is to be claimed.
	}
}

// ownSnapshotHead is the head that this Log wrote last. After an unanswered write it reads
// what became of that.
func (l *Log) ownSnapshotHead(ctx context.Context, shard int) (snapshotHead, error) {
	l.headsMu.Lock()
	head, known := l.heads[shard]
	l.headsMu.Unlock()
	if !known {
		return l.claimSnapshot(ctx, shard)
	}
	if head.revision != 0 {
		return head, nil
	}
	head, err := l.snapshotHead(ctx, shard)
	if err == nil && head.Owner != l.writer {
		err = errShardTaken()
	}
	return head, err
}

// putSnapshotHead stores a head after the one of its revision.
func (l *Log) putSnapshotHead(ctx context.Context, shard int, head *snapshotHead) error {
	raw, err := json.Marshal(head)
	if err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	head.revision, err = l.snapshots.Update(ctx, snapshotHeadKey(shard), raw, head.revision)
	l.headsMu.Lock()
	l.heads[shard] = *head // of revision 0 when it may be stored or not
	l.headsMu.Unlock()
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return errShardTaken()
	}
	return storeError(err)
}

func errShardTaken() error {
	return fmt.Errorf("%w: another instance has taken the shard over", ErrConflict)
}

func (l *Log) snapshotHead(ctx context.Context, shard int) (head snapshotHead, err error) {
	raw, err := l.snapshotRecord(ctx, snapshotHeadKey(shard))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return head, nil
	}
	if err != nil {
		return head, err
	}
	if err := json.Unmarshal(raw.Data, &head); err != nil {
		return head, fmt.Errorf("decoding: %w", err)
	}
	head.revision = raw.Sequence
	return head, nil
}

// snapshotRecord asks the leader: what a replica answers may be out of date.
func (l *Log) snapshotRecord(ctx context.Context, key string) (*jetstream.RawStreamMsg, error) {
	return l.leaderMsg(ctx, "KV_"+snapshotBucket, msgGetRequest{LastBySubj: "$KV." + snapshotBucket + "." + key})
}

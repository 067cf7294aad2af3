package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// sweepAfter is the least age of a file that Sweep removes, whatever it is told: a file is
// stored before its message, and the message may be long in coming.
const sweepAfter = time.Hour

// Sweep removes the files that were stored before the given time (and more than an hour ago)
// and that no message needs: none in the message log, no dead letter and no scheduled one. A
// file is thus readable for as long as its message. It also removes the parts that a crash
// left of files that were never complete. It reports how many files and remains it removed.
func (f *Files) Sweep(ctx context.Context, before time.Time) (removed int, err error) {
	if limit := time.Now().Add(-sweepAfter); before.After(limit) {
		before = limit
	}
	return f.sweep(ctx, before)
}

func (f *Files) sweep(ctx context.Context, before time.Time) (removed int, err error) {
	files, err := f.store.List(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoObjectsFound) {
		return 0, fmt.Errorf("listing the files: %w", err)
	}
	whole := map[string]bool{} // the ids of the parts that belong to a file
	old := map[string]bool{}
	for _, info := range files {
		whole[info.NUID] = true
		if info.ModTime.Before(before) {
			old[info.Name] = true
		}
	}
	// Most of the time nothing is old, and then the logs need not be read.
	if len(old) > 0 {
		if err := f.needed(ctx, func(file string) { delete(old, file) }); err != nil {
			return 0, err
		}
	}
	for file := range old {
		if err := f.Delete(ctx, file); err != nil {
			return removed, err
		}
		removed++
	}
	n, err := f.sweepRemains(ctx, whole, before)
	return removed + n, err
}

// needed calls keep with the name of every file that a message holds.
func (f *Files) needed(ctx context.Context, keep func(file string)) error {
	streams := append(slices.Clone(f.log.messages), f.log.dead)
	scheduled, err := f.log.js.Stream(ctx, "KV_"+scheduleBucket)
	switch {
	case err == nil:
		streams = append(streams, scheduled)
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("looking for scheduled messages: %w", err)
	}
	for _, s := range streams {
		err := scan(ctx, s, scanRange{}, func(m jetstream.Msg, _ *jetstream.MsgMetadata) (bool, error) {
			for data := m.Data(); ; {
				at := bytes.Index(data, []byte(filePrefix))
				if at < 0 {
					return true, nil
				}
				data = data[at:]
				if len(data) >= fileLength {
					keep(string(data[:fileLength]))
				}
				data = data[len(filePrefix):]
			}
		})
		if err != nil {
			return fmt.Errorf("looking for files in use: %w", err)
		}
	}
	return nil
}

// sweepRemains removes parts that belong to no file.
func (f *Files) sweepRemains(ctx context.Context, whole map[string]bool, before time.Time) (removed int, err error) {
	info, err := f.stream.Info(ctx, jetstream.WithSubjectFilter(chunkSubject(">")))
	if err != nil {
		return 0, fmt.Errorf("looking for parts without a file: %w", err)
	}
	for subject := range info.State.Subjects {
		id := strings.TrimPrefix(subject, chunkSubject(""))
		if whole[id] {
			continue
		}
		last, err := f.stream.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return removed, fmt.Errorf("looking for parts without a file: %w", err)
		}
		if !last.Time.Before(before) {
			continue // its upload may be under way
		}
		if err := f.purge(ctx, id); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

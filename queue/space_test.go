package queue_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/queue/natsd"
	"omnirelay/relay"
)

// smallDisk is a file system of its own with some bytes.
func smallDisk(t *testing.T, bytes string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+bytes); err != nil {
		t.Skipf("a small disk cannot be mounted here, so a full one is not tested: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

// TestADiskThatRunsFull has somebody else fill the disk: nothing new is accepted, what was
// accepted stays, attempts are still recorded, and all goes on by itself when there is room.
func TestADiskThatRunsFull(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, "128m")
	conn, err := natsd.Embedded(natsd.EmbeddedOptions{Dir: filepath.Join(dir, "data"), Log: zerolog.Nop()})
	require.NoError(t, err)
	s := openStore(t, conn, queue.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	changes := make(chan natsd.Space, 16)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		conn.WatchSpace(ctx, natsd.SpaceOptions{
			Every:   10 * time.Millisecond,
			Reserve: 16 << 20,
			Looked:  func(now natsd.Space) { s.SetRoom(now.Room) },
			Changed: func(now natsd.Space) {
				s.SetTight(now.Low)
				changes <- now
			},
		})
	}()
	defer func() {
		cancel()
		<-watching
	}()
	until := func(what string, reached func(natsd.Space) bool) {
		t.Helper()
		for {
			select {
			case now := <-changes:
				if reached(now) {
					return
				}
			case <-time.After(20 * time.Second):
				require.Fail(t, "the disk does not become "+what)
			}
		}
	}
	until("roomy", func(now natsd.Space) bool { return !now.Full && !now.Low })
	body := strings.Repeat("x", 10_000)
	var accepted []queue.Receipt
	for range 100 {
		accepted = append(accepted, s.append(text(1001, "ticket:1", body)))
	}

	fill, err := os.Create(filepath.Join(dir, "somebody else's"))
	require.NoError(t, err)
	defer fill.Close()
	grow := func(leave int64) {
		var fs syscall.Statfs_t
		require.NoError(t, syscall.Statfs(dir, &fs))
		at, err := fill.Seek(0, 2)
		require.NoError(t, err)
		_, err = fill.WriteAt(make([]byte, int64(fs.Bavail)*fs.Bsize-leave), at)
		require.NoError(t, err)
	}
	grow(30 << 20)
	until("low", func(now natsd.Space) bool { return now.Low && !now.Full })
	accepted = append(accepted, s.append(text(1001, "ticket:1", body)))
	grow(8 << 20)
	until("full", func(now natsd.Space) bool { return now.Full })
	_, err = s.Append(t.Context(), text(1001, "ticket:1", body), "")
	require.ErrorIs(t, err, queue.ErrFull)
	var records []relay.Attempt
	for _, r := range accepted {
		records = append(records, attempt(r, 1001, relay.Delivered, relay.ReasonOK))
	}
	s.record(records...)
	require.NoError(t, conn.Healthy(), "the server has not given up")

	require.NoError(t, fill.Truncate(0))
	until("roomy", func(now natsd.Space) bool { return !now.Full && !now.Low })
	accepted = append(accepted, s.append(text(1001, "ticket:1", body)))
	for _, r := range accepted {
		e, err := s.Load(t.Context(), 0, r.Position)
		require.NoError(t, err)
		require.Equal(t, r.ID, e.ID)
	}
	require.Len(t, s.attempts(0), 101)
}

// TestTheStoresOwnLimit fills the store up to its configured size: the guard refuses before
// the server does, and gives way when history has gone.
func TestTheStoresOwnLimit(t *testing.T) {
	t.Parallel()
	conn, err := natsd.Embedded(natsd.EmbeddedOptions{Dir: t.TempDir(), MaxStore: 4 << 20, Log: zerolog.Nop()})
	require.NoError(t, err)
	s := openStore(t, conn, queue.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	watching := make(chan struct{})
	watched := make(chan struct{})
	told := sync.OnceFunc(func() { close(watched) })
	go func() {
		defer close(watching)
		conn.WatchSpace(ctx, natsd.SpaceOptions{Every: time.Millisecond, Looked: func(now natsd.Space) {
			s.SetRoom(now.Room)
			s.SetTight(now.Low)
			told()
		}})
	}()
	defer func() {
		cancel()
		<-watching
	}()
	<-watched
	body := strings.Repeat("x", 10_000)
	n := 0
	for ; ; n++ {
		_, err := s.Append(t.Context(), text(1001, "ticket:1", body), "")
		if errors.Is(err, queue.ErrFull) {
			break
		}
		require.NoError(t, err)
	}
	require.Greater(t, n, 200)
	s.record(attempt(queue.Receipt{Position: 1}, 1001, relay.Delivered, relay.ReasonOK))
	require.NoError(t, s.Retention(0).Run(t.Context(), s.settled()))
	for full := true; full; {
		_, err := s.Append(t.Context(), text(1001, "ticket:1", body), "")
		if full = errors.Is(err, queue.ErrFull); full {
			require.NoError(t, s.Retention(0).Run(t.Context(), s.settled()))
			continue
		}
		require.NoError(t, err)
	}
}

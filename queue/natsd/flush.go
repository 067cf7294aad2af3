package natsd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Flusher makes what a stream of the embedded server has acknowledged survive a power cut.
//
// The server has written a message to the newest block file of its stream when it
// acknowledges it (nats-server, server/filestore.go: without asynchronous flushing a write
// is flushed in place). It can fsync after each write itself, which costs an fsync a
// message, or gather messages in an atomic batch, which costs some five milliseconds for a
// staging store. One fsync from outside for all that was acknowledged meanwhile costs a
// third of a millisecond. A test looks for acknowledged bytes in the files that are
// fsynced, so that a new version of the server with another layout cannot pass unnoticed.
type Flusher struct {
	dir string // of the stream's block files

	mu     sync.Mutex
	newest string // block file at the last flush: later writes are in it or in newer ones
	failed error  // after a failed fsync nobody knows what is on disk
}

// Flusher returns the flusher of a stream of the embedded server.
func (c *Conn) Flusher(stream string) *Flusher {
	return &Flusher{dir: filepath.Join(c.server.StoreDir(), "$G", "streams", stream, "msgs")}
}

// Flush returns when everything that was acknowledged before the call is on disk. After a
// failure every later call fails too: what the kernel could not write it may have dropped.
func (f *Flusher) Flush() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		if err := f.flush(); err != nil {
			f.failed = fmt.Errorf("flushing to disk failed; check the disk, then restart: %w", err)
		}
	}
	return f.failed
}

func (f *Flusher) flush() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	newest := f.newest
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".blk") || before(name, f.newest) {
			continue
		}
		// A block that is gone by now was purged.
		if err := fsync(filepath.Join(f.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if before(newest, name) {
			newest = name
		}
	}
	if newest != f.newest {
		// The directory has a new entry, which must survive as well.
		if err := fsync(f.dir); err != nil {
			return err
		}
		f.newest = newest
	}
	return nil
}

// before compares the numbers that name block files.
func before(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

func fsync(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

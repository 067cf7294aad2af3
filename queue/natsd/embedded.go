package natsd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
)

// EmbeddedOptions says where and how the embedded server keeps its files.
type EmbeddedOptions struct {
	Dir string // data directory; made when missing, mode 0700

	// SyncAlways makes every write wait for fsync, so that what is acknowledged survives
	// a power cut. Without it files are synced every SyncInterval and only a crash of the
	// process, not of the machine, is survived without loss.
	SyncAlways   bool
	SyncInterval time.Duration // default 1s; unused with SyncAlways

	MaxStore   int64          // bytes on disk; 0 means what the disk has
	MaxPayload int32          // largest record, bytes; 0 means 8 MiB
	Log        zerolog.Logger // the server's own lines go here
}

// startTimeout bounds the wait for an embedded server, which replays its files first.
const startTimeout = 2 * time.Minute

// Embedded starts a JetStream server in this process that listens on no socket at all, and
// connects to it in memory. Only one process at a time can use a data directory.
func Embedded(o EmbeddedOptions) (*Conn, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	unlock, err := lock(filepath.Join(o.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	c, err := startEmbedded(o)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	c.unlock = unlock
	return c, nil
}

func startEmbedded(o EmbeddedOptions) (*Conn, error) {
	if o.SyncInterval == 0 {
		o.SyncInterval = time.Second
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = 8 << 20
	}
	s, err := server.NewServer(&server.Options{
		ServerName:        "omnirelay",
		DontListen:        true,
		JetStream:         true,
		StoreDir:          filepath.Join(o.Dir, "jetstream"),
		JetStreamMaxStore: o.MaxStore,
		SyncAlways:        o.SyncAlways,
		SyncInterval:      o.SyncInterval,
		MaxPayload:        o.MaxPayload,
		MaxPending:        int64(o.MaxPayload) * 16,
		NoSigs:            true,
	})
	if err != nil {
		return nil, fmt.Errorf("configuring the embedded JetStream: %w", err)
	}
	s.SetLoggerV2(serverLog{o.Log}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(startTimeout) {
		s.Shutdown()
		return nil, fmt.Errorf("the embedded JetStream in %s did not become ready within %s", o.Dir, startTimeout)
	}
	c, err := open(func(name string) (*nats.Conn, error) {
		return nats.Connect("", nats.InProcessServer(s), nats.Name(name), nats.MaxReconnects(-1), complain(o.Log))
	})
	if err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("connecting to the embedded JetStream: %w", err)
	}
	c.server = s
	return c, nil
}

// lock takes the data directory for this process until the returned function is called or
// the process ends, however it ends.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another omnirelay uses the data directory %s; stop it or name another directory", filepath.Dir(path))
		}
		return nil, fmt.Errorf("locking the data directory: %w", err)
	}
	return f.Close, nil
}

// serverLog hands the server's lines to zerolog; its notices are our debug.
type serverLog struct{ log zerolog.Logger }

func (l serverLog) Noticef(format string, v ...any) { l.log.Debug().Msgf(format, v...) }
func (l serverLog) Warnf(format string, v ...any)   { l.log.Warn().Msgf(format, v...) }
func (l serverLog) Fatalf(format string, v ...any)  { l.log.Error().Msgf(format, v...) }
func (l serverLog) Errorf(format string, v ...any)  { l.log.Error().Msgf(format, v...) }
func (l serverLog) Debugf(format string, v ...any)  { l.log.Trace().Msgf(format, v...) }
func (l serverLog) Tracef(format string, v ...any)  { l.log.Trace().Msgf(format, v...) }

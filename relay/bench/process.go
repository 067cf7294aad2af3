package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a relay in a process of its own, which can be measured from outside, stopped,
// killed and started again on the same data.
type process struct {
	binary string
	dir    string
	env    []string
	listen string
	health string // URL of readyz
	admin  admin

	cmd    *exec.Cmd
	output *tail
}

// readyTimeout bounds the wait for a relay to come up.
const readyTimeout = 5 * time.Minute

func (o Options) newProcess(ctx context.Context, sync string) (*process, error) {
	binary := o.Binary
	if binary == "" {
		var err error
		if binary, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("finding this program: %w", err)
		}
	}
	listen, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	adminListen, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "omnirelay-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	p := &process{binary: binary, dir: dir, listen: listen, health: "http://" + adminListen + "/readyz"}
	p.env = []string{
		"OMNIRELAY_LISTEN=" + listen, "OMNIRELAY_ADMIN_LISTEN=" + adminListen,
		"OMNIRELAY_DATA_DIR=" + filepath.Join(dir, "data"), "OMNIRELAY_BOOTSTRAP_KEY=" + benchKey,
		"OMNIRELAY_SYNC=" + sync, "OMNIRELAY_EGRESS_ALLOW=127.0.0.0/8", "OMNIRELAY_LOG_LEVEL=error",
	}
	// The Go runtime's settings count for this process, so let them count for that one.
	for _, name := range []string{"GOGC", "GOMEMLIMIT", "GOMAXPROCS"} {
		if value, ok := os.LookupEnv(name); ok {
			p.env = append(p.env, name+"="+value)
		}
	}
	if o.Shards > 0 {
		p.env = append(p.env, "OMNIRELAY_QUEUE_SHARDS="+strconv.Itoa(o.Shards))
	}
	if p.admin, err = newAdmin("http://" + listen); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// freeAddress is an address on loopback that nothing listens on just now. The relay must
// keep its address over a restart, so that it cannot ask for any.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

func (p *process) intake() intake { return p.admin.intake() }

// start starts the relay and reports how long it took to be ready.
func (p *process) start(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	// Not bound to ctx: a process that is to be measured is ended by stop, kill or close.
	p.cmd = exec.Command(p.binary, "serve") //nolint:noctx // see above
	p.cmd.Env = p.env
	p.output = &tail{}
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if err := p.cmd.Start(); err != nil {
		p.cmd = nil
		return 0, fmt.Errorf("starting %s: %w", p.binary, err)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.health, http.NoBody)
		if err != nil {
			return 0, fmt.Errorf("asking for readiness: %w", err)
		}
		if res, err := client.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return time.Since(began), nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("the relay was not ready after %s; it said: %s", time.Since(began), p.output)
		}
	}
}

// stop asks the relay to end and waits for it.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping the relay: %w", err)
	}
	err := p.cmd.Wait()
	p.cmd = nil
	if err != nil {
		return fmt.Errorf("the relay did not end well: %w; it said: %s", err, p.output)
	}
	return nil
}

// kill ends the relay with no chance to do anything about it.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("killing the relay: %w; it said: %s", err, p.output)
	}
	_ = p.cmd.Wait() // says that it was killed
	p.cmd = nil
	return nil
}

func (p *process) close() error {
	var err error
	if p.cmd != nil {
		err = p.kill()
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

// memory reads a line of /proc/<pid>/status, such as VmRSS, in MB (10^6 bytes).
func (p *process) memory(name string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("reading the relay's memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			if err != nil {
				return 0, fmt.Errorf("reading the relay's memory: %w", err)
			}
			return kb * 1024 / 1e6, nil
		}
	}
	return 0, fmt.Errorf("reading the relay's memory: /proc has no %s", name)
}

// tail keeps the end of what a process says.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailMost = 4 << 10

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - tailMost; over > 0 {
		t.text = bytes.Clone(t.text[over:])
	}
	return len(b), nil
}

// String is what is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

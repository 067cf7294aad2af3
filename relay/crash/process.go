package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ProcessOptions say how the program is run.
type ProcessOptions struct {
	Binary string // the program
	Dir    string // its data directory; also its working directory
	// Env are settings beside those that Start makes: listeners on free ports of loopback, the
	// data directory, and permission to deliver to loopback.
	Env []string
	// Ready is how long it may take to become ready; default 30 s.
	Ready time.Duration
}

// Process is the running program.
type Process struct {
	API   string // its address, http://…
	Admin string

	cmd    *exec.Cmd
	output *output
	ended  chan struct{} // closed when the process has ended
	err    error         // of Wait, once ended is closed
}

// readyTimeout is the default of ProcessOptions.Ready.
const readyTimeout = 30 * time.Second

// Start runs "omnirelay serve" and waits until it says that it is ready.
func Start(ctx context.Context, o ProcessOptions) (*Process, error) {
	// The process is ended with signals of the harness's own choosing, not with a context.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), o.Binary, "serve")
	cmd.Dir = o.Dir
	cmd.Env = append([]string{
		"OMNIRELAY_LISTEN=127.0.0.1:0",
		"OMNIRELAY_ADMIN_LISTEN=127.0.0.1:0",
		"OMNIRELAY_DATA_DIR=" + o.Dir,
		"OMNIRELAY_EGRESS_ALLOW=127.0.0.0/8",
	}, o.Env...)
	p := &Process{cmd: cmd, output: &output{ready: make(chan struct{})}, ended: make(chan struct{})}
	cmd.Stderr, cmd.Stdout = p.output, p.output
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", o.Binary, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	wait := o.Ready
	if wait == 0 {
		wait = readyTimeout
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	var err error
	select {
	case <-p.output.ready:
		p.API, p.Admin = p.output.address(apiLine), p.output.address(adminLine)
		return p, nil
	case <-p.ended:
		return nil, &ExitError{Code: cmd.ProcessState.ExitCode(), Output: p.Output()}
	case <-timer.C:
		err = fmt.Errorf("the relay was not ready after %s", wait)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	p.Kill()
	return nil, fmt.Errorf("starting the relay: %w; it said:\n%s", err, p.Output())
}

// ExitError says that the program ended before it was ready.
type ExitError struct {
	Code   int
	Output string
}

// Error is the exit code and what the program said.
func (e *ExitError) Error() string {
	return fmt.Sprintf("the relay ended with exit code %d and said:\n%s", e.Code, e.Output)
}

// Kill ends the process as a crash does: at once, with nothing written any more.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails only when it has ended
	<-p.ended
}

// Stop asks the process to end in order and waits for it.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the relay: %w", err)
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("stopping the relay: %w; it said:\n%s", context.Cause(ctx), p.Output())
	}
	if p.err != nil {
		return fmt.Errorf("the relay ended badly: %w; it said:\n%s", p.err, p.Output())
	}
	return nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Output is what the process has written so far.
func (p *Process) Output() string { return p.output.String() }

// Key reads the API key that the first start left in the data directory.
func Key(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "admin.key"))
	if err != nil {
		return "", fmt.Errorf("reading the first key: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// The lines of the greeting that tell the addresses.
var (
	apiLine   = regexp.MustCompile(`(?m)^  API +(http://[^ \n]+)`)
	adminLine = regexp.MustCompile(`(?m)^  admin +(http://[^/\n]+)/`)
)

// greetingEnd is in the last part of the greeting.
const greetingEnd = "Try it:"

// output gathers what a process writes and notices the greeting.
type output struct {
	mu    sync.Mutex
	b     bytes.Buffer
	seen  bool
	ready chan struct{}
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Write(p)
	if !o.seen && bytes.Contains(o.b.Bytes(), []byte(greetingEnd)) {
		o.seen = true
		close(o.ready)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (o *output) address(line *regexp.Regexp) string {
	if m := line.FindStringSubmatch(o.String()); m != nil {
		return m[1]
	}
	return ""
}

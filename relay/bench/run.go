package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"

	"omnirelay/relay/config"
)

// Options say what to measure, and for how long.
type Options struct {
	// Scenarios are names of Scenarios; none means all of them.
	Scenarios []string

	Sync         []string      // the store's settings to measure: always, interval; default both
	Connections  []int         // of the sender, for throughput; default 64 and 256
	Duration     time.Duration // of one measurement; default 10s
	Rounds       int           // how often each is repeated, the median counts; default 3
	Channels     int           // that the messages are spread over, for throughput and latency; default 16
	Shards       int           // of the relay's message log; default the relay's own
	Size         int           // of a request's body, bytes; default 512
	Rate         float64       // messages a second, for latency and isolation; default 1000
	Backlog      int           // messages that wait, for isolation and memory; default 100,000
	ManyChannels int           // for channels and memory; default 10,000
	Kills        int           // for crash; default 10
	BareWorkers  int           // deliveries of the bare pipeline that are under way at once; default 64

	// Dir is where the stores' directories are made and removed; default the system's
	// temporary directory. In a file system in memory, fsync costs nothing and the figures
	// with sync always say nothing.
	Dir string
	// Profiles is a directory for a CPU profile of each measurement; empty for none.
	Profiles string
	// Binary is the omnirelay program that scenarios with a process of its own start; default
	// this program.
	Binary string

	Version  string
	Progress io.Writer // gets a line for each step; default none
}

func (o Options) withDefaults() (Options, error) {
	if len(o.Sync) == 0 {
		o.Sync = []string{config.SyncInterval, config.SyncAlways}
	}
	if len(o.Connections) == 0 {
		o.Connections = []int{64, 256}
	}
	o.Duration = cmp.Or(o.Duration, 10*time.Second)
	o.Rounds = cmp.Or(o.Rounds, 3)
	o.Channels = cmp.Or(o.Channels, 16)
	o.Size = cmp.Or(o.Size, 512)
	o.Rate = cmp.Or(o.Rate, 1000)
	o.Backlog = cmp.Or(o.Backlog, 100_000)
	o.ManyChannels = cmp.Or(o.ManyChannels, 10_000)
	o.Kills = cmp.Or(o.Kills, 10)
	o.BareWorkers = cmp.Or(o.BareWorkers, bareWorkers)
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	var problems []error
	for _, s := range o.Sync {
		if s != config.SyncAlways && s != config.SyncInterval {
			problems = append(problems, fmt.Errorf("sync %q must be always or interval", s))
		}
	}
	for _, n := range append([]int{o.Rounds, o.Channels, o.Backlog, o.ManyChannels, o.Kills, o.BareWorkers}, o.Connections...) {
		if n < 1 {
			problems = append(problems, errors.New("connections, rounds, channels, backlog, kills and workers must be 1 or more"))
			break
		}
	}
	if o.Duration < 100*time.Millisecond || o.Rate <= 0 || o.Size < 128 || o.Shards < 0 {
		problems = append(problems, errors.New("a measurement takes 100ms or more, a rate is above 0, a body has 128 bytes or more, and shards are 0 or more"))
	}
	known := Scenarios()
	for _, name := range o.Scenarios {
		if !slices.ContainsFunc(known, func(s Scenario) bool { return s.Name == name }) {
			problems = append(problems, fmt.Errorf("there is no scenario %q", name))
		}
	}
	return o, errors.Join(problems...)
}

// Scenario is one thing that is measured.
type Scenario struct {
	Name string
	Doc  string // a phrase, for people who choose
	run  func(context.Context, Options, *Report) error
}

// Scenarios lists all scenarios in the order in which they run.
func Scenarios() []Scenario {
	return []Scenario{
		{"throughput", "messages a second from the sender to the receiver, beside the bare pipeline", throughput},
		{"latency", "milliseconds at a steady rate, beside the bare pipeline", latency},
		{"channels", "throughput over many channels, beside one channel", channels},
		{"isolation", "latency of healthy channels while half of all are down with a backlog, beside none down", isolation},
		{"memory", "memory and restart of a relay with a backlog over many channels", memory},
		{"crash", "what is lost, out of order or repeated when a relay is killed under load", crash},
	}
}

// Check says what is wrong with the options; Run does it too.
func (o Options) Check() error {
	_, err := o.withDefaults()
	return err
}

// Run measures. When a scenario fails, the report of those before is returned with the
// error.
func Run(ctx context.Context, o Options) (*Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	report := newReport(o)
	for _, s := range Scenarios() {
		if len(o.Scenarios) > 0 && !slices.Contains(o.Scenarios, s.Name) {
			continue
		}
		if err := s.run(ctx, o, report); err != nil {
			return report, fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	report.Took = time.Since(report.Date).Round(time.Second).Seconds()
	return report, nil
}

func (o Options) say(text string, args ...any) {
	_, _ = fmt.Fprintf(o.Progress, text+"\n", args...) // nobody can be told that progress cannot be told
}

// trial is one measurement.
type trial struct {
	name     string // of the profile's file
	pace     pace
	channels []int64
}

// maxDrain bounds the wait for what is under way once the load has ended.
const maxDrain = 2 * time.Minute

// measure warms a pipeline up, loads it, and waits until everything has arrived.
func (o Options) measure(ctx context.Context, p pipeline, r *receiver, t trial) (outcome, error) {
	warm := t.pace
	warm.duration, warm.messages = min(time.Second, o.Duration), 0
	if _, err := o.load(ctx, p, r, warm, t.channels); err != nil {
		return outcome{}, fmt.Errorf("warming up: %w", err)
	}
	runtime.GC() // what earlier measurements left is not this one's to clear
	stop, err := o.profile(t.name)
	if err != nil {
		return outcome{}, err
	}
	before := processorTime()
	l, err := o.load(ctx, p, r, t.pace, t.channels)
	spent := processorTime() - before
	if err := errors.Join(err, stop()); err != nil {
		return outcome{}, err
	}
	out := l.outcome()
	out.processor = spent / time.Duration(max(out.accepted, 1))
	return out, nil
}

// processorTime is what this process has used of the processors so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// load runs a sender to its end and waits until everything has arrived.
func (o Options) load(ctx context.Context, p pipeline, r *receiver, pace pace, channels []int64) (*ledger, error) {
	l := newLedger(uint16(rand.Uint32()), pace.capacity(), conversationsFor(pace.connections, len(channels)))
	r.ledger.Store(l)
	s := &sender{to: p.intake(), ledger: l, channels: channels, size: o.Size}
	if err := s.send(ctx, pace); err != nil {
		return nil, err
	}
	return l, l.drained(ctx, maxDrain)
}

// profile starts a CPU profile, where profiles are asked for.
func (o Options) profile(name string) (stop func() error, err error) {
	if o.Profiles == "" {
		return func() error { return nil }, nil
	}
	name = strings.Map(func(r rune) rune {
		if r == ' ' || r == '/' {
			return '-'
		}
		return r
	}, name)
	f, err := os.Create(filepath.Join(o.Profiles, name+".pprof"))
	if err != nil {
		return nil, fmt.Errorf("writing a profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("writing a profile: %w", err), f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

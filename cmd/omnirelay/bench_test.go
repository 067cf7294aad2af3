package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/bench"
)

func TestBenchMisuse(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"bench fast":               `there is no scenario "fast"; there are throughput, latency, `,
		"bench --sync never":       `sync "never" must be always or interval`,
		"bench --connections 0":    "must be 1 or more",
		"bench --duration 1ms":     "a measurement takes 100ms or more",
		"bench --connections many": `invalid argument "many"`,
	} {
		r := run(t, "", nil, strings.Fields(line)...)
		require.Equal(t, exitMisuse, r.code, r.err)
		require.Contains(t, r.err, want)
	}
}

func TestBenchReports(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "report.json")
	r := run(t, "", nil, "bench", "throughput", "--sync", "interval", "--connections", "4", "--duration", "100ms",
		"--rounds", "1", "--dir", t.TempDir(), "--json", file)
	require.Equal(t, exitDone, r.code, r.err)
	require.Contains(t, r.out, "sync interval, 4 connections")
	require.Contains(t, r.err, "round 1 of 1")

	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var report bench.Report
	require.NoError(t, json.Unmarshal(data, &report))
	require.NotEmpty(t, report.Figures)
	require.Positive(t, report.Figures[0].Relay)
	require.Equal(t, "bare", report.Figures[0].Against)
}

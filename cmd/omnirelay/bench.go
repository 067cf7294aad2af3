package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"omnirelay/relay/bench"
)

func (a *app) benchCommand() *cobra.Command {
	var (
		o        bench.Options
		jsonFile string
	)
	var names, docs []string
	for _, s := range bench.Scenarios() {
		names = append(names, s.Name)
		docs = append(docs, fmt.Sprintf("  %-11s %s", s.Name, s.Doc))
	}
	cmd := &cobra.Command{
		Use:   "bench [scenario]...",
		Short: "Measure this relay on this machine",
		Long: `Measure the relay on this machine, each figure beside a reference of the same run: the bare
pipeline (net/http in, one JetStream publish, one consumer, one signed POST), or the relay itself
without the trouble that the scenario makes. Sender, relay and receiver share the machine.

` + strings.Join(docs, "\n") + `

Without a scenario all of them run. A quick look is a matter of minutes; what docs/benchmarks.md
shows takes --backlog 1000000 and the better part of an hour.`,
		Example: `  omnirelay bench throughput --sync interval --connections 64 --duration 5s
  omnirelay bench memory --backlog 1000000 --dir /var/tmp
  omnirelay bench --backlog 1000000 --kills 100 --json bench.json`,
		ValidArgs: names,
		Args: func(_ *cobra.Command, args []string) error {
			for _, name := range args {
				if !slices.Contains(names, name) {
					return misuse("there is no scenario %q; there are %s", name, strings.Join(names, ", "))
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Scenarios, o.Version, o.Progress = args, thisBuild().Version, a.err
			if err := o.Check(); err != nil {
				return misuse("%w", err)
			}
			report, err := bench.Run(cmd.Context(), o)
			if report == nil {
				return err
			}
			// What was measured before a scenario failed is worth having.
			if written := a.writeReport(report, jsonFile); written != nil {
				return written
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.Sync, "sync", []string{"interval", "always"}, "settings of the store to measure")
	f.IntSliceVar(&o.Connections, "connections", []int{64, 256}, "connections of the sender, for throughput")
	f.DurationVar(&o.Duration, "duration", 10*time.Second, "of one measurement")
	f.IntVar(&o.Rounds, "rounds", 3, "how often each measurement is repeated; the median counts")
	f.IntVar(&o.Channels, "channels", 16, "channels that messages are spread over, for throughput, latency and crash")
	f.IntVar(&o.ManyChannels, "many-channels", 10_000, "channels of the scenarios channels and memory")
	f.IntVar(&o.Shards, "shards", 0, "message logs of the relay; 0 means its default")
	f.IntVar(&o.Size, "size", 512, "of a request's body, bytes")
	f.Float64Var(&o.Rate, "rate", 1000, "messages a second, for latency, isolation and crash")
	f.IntVar(&o.Backlog, "backlog", 100_000, "messages that wait, for isolation and memory")
	f.IntVar(&o.Kills, "kills", 10, "how often crash kills the relay")
	f.IntVar(&o.BareWorkers, "bare-workers", 64, "deliveries of the bare pipeline that are under way at once")
	f.StringVar(&o.Dir, "dir", "", "where the stores are made and removed again (default the temporary directory)")
	f.StringVar(&o.Profiles, "profiles", "", "directory for a CPU profile of each measurement")
	f.StringVar(&jsonFile, "json", "", "file to write the report to, as JSON")
	return cmd
}

// writeReport writes the report to where it was asked for.
func (a *app) writeReport(report *bench.Report, jsonFile string) error {
	if jsonFile != "" {
		data, err := json.MarshalIndent(report, "", "  ")
		if err == nil {
			err = os.WriteFile(jsonFile, append(data, '\n'), 0o644)
		}
		if err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	if a.output == formatJSON {
		return a.printJSON(report)
	}
	return report.WriteTable(a.out)
}

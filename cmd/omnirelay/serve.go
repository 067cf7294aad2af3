package main

import (
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"omnirelay/relay/config"
	"omnirelay/relay/daemon"
)

func (a *app) serveCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the relay",
		Long: `Run the relay until it is interrupted.

Without a configuration file it keeps its messages in ./data and listens on loopback only.
The first start makes an API key with every permission and shows it once.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(path, a.environ)
			if err != nil {
				return err
			}
			log := newLog(c.Log, a.err)
			version := thisBuild().Version
			limitMemory(a.environ)
			log.Info().Str("version", version).Msg("omnirelay starts")
			return daemon.Run(cmd.Context(), daemon.Options{Config: c, Version: version, Log: log}, func(d *daemon.Daemon) {
				a.greet(c, d)
			})
		},
	}
	configFlag(cmd, &path)
	return cmd
}

// memoryLimit is the soft limit of the process, bytes, unless GOMEMLIMIT sets another. The
// embedded store keeps whole blocks of its files in caches that only a collection empties:
// without a limit a large backlog grows them to several times the live heap.
const memoryLimit = 224 << 20

func limitMemory(environ []string) {
	if !slices.ContainsFunc(environ, func(v string) bool { return strings.HasPrefix(v, "GOMEMLIMIT=") }) {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// newLog makes the log of a configuration.
func newLog(c config.Log, w io.Writer) zerolog.Logger {
	format := c.Format
	if format == config.LogAuto {
		format = config.LogJSON
		if isTerminal(w) {
			format = config.LogConsole
		}
	}
	if format == config.LogConsole {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly}
	}
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil {
		level = zerolog.InfoLevel // the configuration has checked it
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// greet tells whoever started the relay where everything is, and a line to try it with.
func (a *app) greet(c config.Config, d *daemon.Daemon) {
	base := c.BaseURL(d.Addr())
	keyFile := filepath.Join(c.DataDir, daemon.KeyFile)
	fmt.Fprintf(a.err, "\nomnirelay is ready.\n\n  API    %s   (documentation: %s/docs)\n  admin  http://%s/healthz, /readyz, /metrics\n",
		base, base, d.AdminAddr())
	if len(c.NATS.URLs) == 0 {
		fmt.Fprintf(a.err, "  data   %s   (sync: %s)\n", c.DataDir, c.Sync)
	} else {
		fmt.Fprintf(a.err, "  data   NATS cluster\n")
	}
	key := `$(cat ` + keyFile + `)`
	switch {
	case d.NewKey() != "":
		fmt.Fprintf(a.err, "\n  Your API key, shown this once and kept in %s:\n\n    %s\n", keyFile, d.NewKey())
	case !c.BootstrapKey.IsZero():
		key = "$OMNIRELAY_BOOTSTRAP_KEY"
	}
	fmt.Fprintf(a.err, "\n  Try it:\n\n    curl -H \"apiKey: %s\" %s/api/v2/channel\n\n", key, base)
}

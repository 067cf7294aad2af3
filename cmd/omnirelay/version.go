package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set when a release is built: -ldflags "-X main.version=v1.2.3". Without it the
// version is what the Go tool recorded.
var version string

// build is what omnirelay was built from.
type build struct {
	Version  string `json:"version"`            // "devel" when unknown
	Commit   string `json:"commit,omitempty"`   // of the source
	Modified bool   `json:"modified,omitempty"` // the source was changed after the commit
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		if recorded := info.Main.Version; b.Version == "" && recorded != "(devel)" {
			b.Version = recorded
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	if b.Version == "" {
		b.Version = "devel"
	}
	return b
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			if a.output == formatJSON {
				return a.printJSON(b)
			}
			source := ""
			if b.Commit != "" {
				source = " commit " + b.Commit
				if b.Modified {
					source += " and changes"
				}
			}
			return a.printf("omnirelay %s%s %s %s\n", b.Version, source, b.Go, b.Platform)
		},
	}
}

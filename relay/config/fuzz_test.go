package config_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"omnirelay/relay/config"
)

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", "listen: :1", "log: {level: debug}", "nats:\n  urls: [nats://a]\n", "a: &a b\nc: *a", "? a\n: b", "<<: x", "- 1", "--- a\n...\n",
		"bootstrap_key: |\n  x\n", "\t", "{[", "delivery: {timeout: 1s, timeout: 2s}", "!!binary: x", "%YAML 1.2\n---\nsync: always",
	} {
		f.Add([]byte(seed), "OMNIRELAY_LISTEN=:1")
	}
	f.Fuzz(func(t *testing.T, text []byte, variable string) {
		path := filepath.Join(t.TempDir(), "relay.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(path, []string{variable})
		if err == nil {
			if err := c.Print(io.Discard); err != nil {
				t.Fatal(err)
			}
			return
		}
		problems, ok := errors.AsType[config.Problems](err)
		if !ok || len(problems) == 0 {
			t.Fatalf("the error is no list of problems: %v", err)
		}
		for _, p := range problems {
			if p.Message == "" {
				t.Fatalf("a problem without a message: %+v", p)
			}
		}
	})
}

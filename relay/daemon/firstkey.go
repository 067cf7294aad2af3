package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"omnirelay/relay/auth"
	"omnirelay/relay/config"
)

// KeyFile is the file in the data directory that holds the key of the first start, mode
// 0600. The command line reads it when it runs beside the daemon.
const KeyFile = "admin.key"

// firstKey makes sure that somebody can use the API: the bootstrap key where one is
// configured, else, in a store without keys, a new one. It returns the new key's text, to be
// shown once; empty when none was made.
func firstKey(ctx context.Context, c config.Config, keys *auth.Registry) (string, error) {
	if !c.BootstrapKey.IsZero() {
		_, err := keys.Ensure(ctx, c.BootstrapKey.Reveal(), "bootstrap", auth.Permissions())
		if err != nil {
			return "", fmt.Errorf("bootstrap_key: %w", err)
		}
		return "", nil
	}
	if !keys.Empty() {
		return "", nil
	}
	fresh, _, err := keys.Create(ctx, auth.CreateRequest{Name: "admin", Permissions: auth.Permissions()})
	if err != nil {
		return "", fmt.Errorf("making the first key: %w", err)
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return "", fmt.Errorf("making the data directory: %w", err)
	}
	path := filepath.Join(c.DataDir, KeyFile)
	// An old file belongs to a store that is gone.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("replacing %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(fresh.Reveal()+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keeping the first key: %w", err)
	}
	return fresh.Reveal(), nil
}

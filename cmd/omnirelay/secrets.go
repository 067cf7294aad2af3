package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"omnirelay/signer"
)

// secretFlags are --secret and --secret-file of the commands that sign and verify.
type secretFlags struct {
	texts []string
	files []string
}

func (f *secretFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.texts, "secret", nil, "signing secret: whsec_… or any text; other users of this machine can see it (repeatable)")
	cmd.Flags().StringArrayVar(&f.files, "secret-file", nil, "file that holds a signing secret (repeatable)")
}

// load reads the secrets in the order of the flags, those of --secret first.
func (f *secretFlags) load() ([]signer.Secret, error) {
	var secrets []signer.Secret
	for _, text := range f.texts {
		s, err := signer.ParseSecret(text)
		if err != nil {
			return nil, misuse("--secret: %w", err)
		}
		secrets = append(secrets, s)
	}
	for _, path := range f.files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading a secret: %w", err)
		}
		s, err := signer.ParseSecret(strings.TrimRight(string(text), "\r\n"))
		if err != nil {
			return nil, fmt.Errorf("reading a secret from %s: %w", path, err)
		}
		secrets = append(secrets, s)
	}
	return secrets, nil
}

// required is load for a command that is pointless without a secret.
func (f *secretFlags) required() ([]signer.Secret, error) {
	if len(f.texts)+len(f.files) == 0 {
		return nil, misuseError{errors.New("no secret is given; use --secret or --secret-file")}
	}
	return f.load()
}

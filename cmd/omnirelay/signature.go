package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"omnirelay/relay"
	"omnirelay/signer"
)

func (a *app) signatureCommand() *cobra.Command {
	return group("signature", "Make and verify signatures (Standard Webhooks)", a.signatureMakeCommand(), a.signatureVerifyCommand())
}

func (a *app) signatureMakeCommand() *cobra.Command {
	var secrets secretFlags
	var id, at string
	cmd := &cobra.Command{
		Use:   "make [file]",
		Short: "Print the headers that sign a body, read from a file or standard input",
		Example: `  omnirelay signature make --secret-file secret.txt body.json
  printf '{"a":1}' | omnirelay signature make --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`,
		Args: oneFile,
		RunE: func(_ *cobra.Command, args []string) error {
			when, err := parseTime("--timestamp", at)
			if err != nil {
				return err
			}
			if id == "" {
				id = string(relay.NewID())
			}
			if strings.ContainsAny(id, ". \r\n\t") {
				return misuse("--id must hold no full stop and no space")
			}
			keys, err := secrets.required()
			if err != nil {
				return err
			}
			body, err := a.readBody(args)
			if err != nil {
				return err
			}
			signature := signer.Sign(id, when, body, keys...)
			stamp := strconv.FormatInt(when.Unix(), 10)
			if a.output == formatJSON {
				return a.printJSON(struct {
					ID        string `json:"webhook-id"`
					Timestamp string `json:"webhook-timestamp"`
					Signature string `json:"webhook-signature"`
				}{id, stamp, signature})
			}
			return a.printf("webhook-id: %s\nwebhook-timestamp: %s\nwebhook-signature: %s\n", id, stamp, signature)
		},
	}
	secrets.add(cmd)
	cmd.Flags().StringVar(&id, "id", "", "webhook-id (default: a new one)")
	cmd.Flags().StringVar(&at, "timestamp", "", "time of sending, in Unix seconds or RFC 3339 (default: now)")
	return cmd
}

func (a *app) signatureVerifyCommand() *cobra.Command {
	var secrets secretFlags
	var id, stamp, signature, now string
	var anyAge bool
	cmd := &cobra.Command{
		Use:   "verify [file]",
		Short: "Check the signature of a body, read from a file or standard input",
		Example: `  omnirelay signature verify --secret-file secret.txt \
    --id msg_1 --timestamp 1790000000 --signature 'v1,…' body.json`,
		Args: oneFile,
		RunE: func(_ *cobra.Command, args []string) error {
			at, err := parseTime("--now", now)
			if err != nil {
				return err
			}
			if anyAge {
				if at, err = parseTime("--timestamp", stamp); err != nil {
					return err
				}
			}
			keys, err := secrets.required()
			if err != nil {
				return err
			}
			body, err := a.readBody(args)
			if err != nil {
				return err
			}
			h := http.Header{}
			h.Set(signer.HeaderID, id)
			h.Set(signer.HeaderTimestamp, stamp)
			h.Set(signer.HeaderSignature, signature)
			if err := signer.Verify(h, body, at, keys...); err != nil {
				return fmt.Errorf("the signature is not valid: %w", err)
			}
			if a.output == formatJSON {
				return a.printJSON(struct {
					Valid bool `json:"valid"`
				}{true})
			}
			return a.printf("The signature is valid.\n")
		},
	}
	secrets.add(cmd)
	cmd.Flags().StringVar(&id, "id", "", "the header webhook-id")
	cmd.Flags().StringVar(&stamp, "timestamp", "", "the header webhook-timestamp")
	cmd.Flags().StringVar(&signature, "signature", "", "the header webhook-signature")
	cmd.Flags().StringVar(&now, "now", "", "time to judge the age by, in Unix seconds or RFC 3339 (default: now)")
	cmd.Flags().BoolVar(&anyAge, "any-age", false, "accept a request of any age")
	for _, name := range []string{"id", "timestamp", "signature"} {
		_ = cmd.MarkFlagRequired(name) // fails only for a flag that is not defined
	}
	cmd.MarkFlagsMutuallyExclusive("now", "any-age")
	return cmd
}

// oneFile is the Args of a command that reads a file, or standard input without one.
func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return misuse("%s takes one file, but got %d", cmd.CommandPath(), len(args))
	}
	return nil
}

// readBody reads the file that the arguments name; none and "-" mean standard input.
func (a *app) readBody(args []string) ([]byte, error) {
	if len(args) == 0 || args[0] == "-" {
		body, err := io.ReadAll(a.in)
		if err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
		return body, nil
	}
	body, err := os.ReadFile(args[0])
	if err != nil {
		return nil, fmt.Errorf("reading the body: %w", err)
	}
	return body, nil
}

// parseTime reads the value of a flag; empty means now.
func parseTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Now(), nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(n, 0), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, misuse("%s must be Unix seconds or RFC 3339, such as 2026-11-22T10:00:00Z", flag)
	}
	return t, nil
}

// Command omnirelay is the relay's daemon and its command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// main only translates: signals into a context, an error into an exit code.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end; a second one then ends the process at once.
	context.AfterFunc(ctx, stop)
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ()}
	os.Exit(a.run(ctx, os.Args[1:]))
}

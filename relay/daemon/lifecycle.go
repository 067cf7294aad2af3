package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rs/zerolog"
)

// cleanups undoes, in reverse, what was set up. A step is registered the moment its resource
// exists; a failing step is named and the rest still run.
type cleanups struct {
	log   zerolog.Logger
	steps []cleanup
}

type cleanup struct {
	name string
	stop func(context.Context) error
}

func (c *cleanups) add(name string, stop func(context.Context) error) {
	c.steps = append(c.steps, cleanup{name, stop})
}

// run undoes everything once; a second call finds nothing left.
func (c *cleanups) run(ctx context.Context) error {
	steps := c.steps
	c.steps = nil
	var errs []error
	for _, s := range slices.Backward(steps) {
		if err := s.stop(ctx); err != nil {
			c.log.Error().Err(err).Str("step", s.name).Msg("a step of the shutdown failed")
			errs = append(errs, fmt.Errorf("stopping %s: %w", s.name, err))
		}
	}
	return errors.Join(errs...)
}

// quietly makes a step of a function that cannot fail.
func quietly(f func()) func(context.Context) error {
	return func(context.Context) error { f(); return nil }
}

// plainly makes a step of a function that knows no context.
func plainly(f func() error) func(context.Context) error {
	return func(context.Context) error { return f() }
}

package queue

import (
	"context"
	"time"
)

// SweepAt is Sweep without its least age, for tests that cannot wait an hour.
func (f *Files) SweepAt(ctx context.Context, before time.Time) (int, error) {
	return f.sweep(ctx, before)
}

package crash

import (
	"context"
	"math/rand/v2"
	"time"
)

// flap changes the channels' moods until ctx ends. The first channel is always good and the
// second always slow: they show that the others' troubles are not theirs.
func (r *receiver) flap(ctx context.Context, seed uint64) {
	dice := rand.New(rand.NewPCG(seed, 2))
	for {
		for i := range r.moods {
			switch i {
			case 0:
			case 1:
				r.moods[i].Store(slow)
			default:
				m := good // half of the time
				if dice.IntN(2) == 0 {
					m = mood(dice.IntN(int(moods)))
				}
				r.moods[i].Store(m)
			}
		}
		timer := time.NewTimer(time.Duration(50+dice.IntN(250)) * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

package dispatch

// crew runs functions side by side, on goroutines that stay for the next one: an attempt goes
// deep into the HTTP client, and a fresh goroutine would grow its stack for each anew.
type crew struct {
	jobs chan func()
	idle chan struct{} // a token for each goroutine that may wait
	over chan struct{}
}

// crewMost is how many goroutines may wait for work.
const crewMost = 64

func newCrew() *crew {
	return &crew{jobs: make(chan func()), idle: make(chan struct{}, crewMost), over: make(chan struct{})}
}

// run starts f at once, whatever else is running.
func (c *crew) run(f func()) {
	select {
	case c.jobs <- f:
	default:
		go c.work(f)
	}
}

func (c *crew) work(f func()) {
	for {
		f()
		select {
		case c.idle <- struct{}{}:
		default:
			return
		}
		select {
		case f = <-c.jobs:
			<-c.idle
		case <-c.over:
			return
		}
	}
}

// dismiss ends the goroutines that wait, and those at work after it.
func (c *crew) dismiss() { close(c.over) }

package sink

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Action is what a Fault does to a request.
type Action string

// The actions.
const (
	Answer     Action = "answer"      // with Fault.Status
	Slow       Action = "slow"        // answer well, after Fault.Delay
	Hang       Action = "hang"        // never answer
	Close      Action = "close"       // close the connection before reading the body
	CloseAfter Action = "close-after" // close it after reading the body, without an answer
)

// Fault is one way to misbehave and when to. With none of First, Every and Chance it applies
// to every request; with several, only when all of them do.
type Fault struct {
	Action     Action
	Status     int           // with Answer: 200 to 999
	RetryAfter time.Duration // with Answer: the header Retry-After in whole seconds; 0 for none
	Delay      time.Duration // with Slow

	First  int     // the first so many requests only; 0 for no bound
	Every  int     // each so many-th request only; 0 for all
	Chance float64 // the share of requests, up to 1; 0 for all
}

// ParseFault reads the form that the package's documentation shows, such as 503x3.
func ParseFault(text string) (Fault, error) {
	f, what := Fault{}, text
	if at := strings.LastIndexAny(text, "x/@"); at >= 0 {
		what = text[:at]
		if err := f.parseWhen(text[at], text[at+1:]); err != nil {
			return Fault{}, fmt.Errorf("fault %q: %w", text, err)
		}
	}
	if err := f.parseWhat(what); err != nil {
		return Fault{}, fmt.Errorf("fault %q: %w", text, err)
	}
	return f, nil
}

func (f *Fault) parseWhen(sign byte, number string) error {
	if sign == '@' {
		p, err := strconv.ParseFloat(number, 64)
		if err != nil || !(p > 0 && p <= 1) {
			return errors.New("a share of requests is more than 0 and at most 1, as in 503@0.3")
		}
		f.Chance = p
		return nil
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 {
		return errors.New("a count is 1 or more, as in 503x3 (the first three) and 503/10 (every tenth)")
	}
	if sign == 'x' {
		f.First = n
	} else {
		f.Every = n
	}
	return nil
}

func (f *Fault) parseWhat(what string) error {
	if delay, ok := strings.CutPrefix(what, string(Slow)+"="); ok {
		d, err := time.ParseDuration(delay)
		if err != nil || d <= 0 {
			return errors.New("a delay is a duration, as in slow=5s")
		}
		f.Action, f.Delay = Slow, d
		return nil
	}
	switch a := Action(what); a {
	case Hang, Close, CloseAfter:
		f.Action = a
		return nil
	}
	status, wait, hasWait := strings.Cut(what, "+")
	n, err := strconv.Atoi(status)
	if err != nil || n < 200 || n > 999 {
		return errors.New("must be a status from 200 to 999, hang, close, close-after or slow=<duration>")
	}
	f.Action, f.Status = Answer, n
	if hasWait {
		d, err := time.ParseDuration(wait)
		if err != nil || d < time.Second || d%time.Second != 0 {
			return errors.New("a Retry-After is in whole seconds, as in 429+30s")
		}
		f.RetryAfter = d
	}
	return nil
}

// String is the form that ParseFault reads.
func (f Fault) String() string {
	text := string(f.Action)
	switch f.Action {
	case Answer:
		text = strconv.Itoa(f.Status)
		if f.RetryAfter > 0 {
			text += "+" + f.RetryAfter.String()
		}
	case Slow:
		text += "=" + f.Delay.String()
	}
	if f.First > 0 {
		text += "x" + strconv.Itoa(f.First)
	}
	if f.Every > 0 {
		text += "/" + strconv.Itoa(f.Every)
	}
	if f.Chance > 0 {
		text += "@" + strconv.FormatFloat(f.Chance, 'g', -1, 64)
	}
	return text
}

// plan chooses the fault of each request.
type plan struct {
	mu     sync.Mutex
	faults []Fault
	met    []int // requests that came as far as each fault
	dice   *rand.Rand
}

func newPlan(seed uint64, faults []Fault) *plan {
	return &plan{dice: rand.New(rand.NewPCG(seed, 0)), faults: faults, met: make([]int, len(faults))}
}

// replace starts another list of faults, with its counts at zero.
func (p *plan) replace(faults []Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults, p.met = faults, make([]int, len(faults))
}

// next is the fault of the next request; the zero Fault means none.
func (p *plan) next() Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, f := range p.faults {
		if f.First > 0 && p.met[i] >= f.First {
			continue
		}
		p.met[i]++
		if f.Every > 0 && p.met[i]%f.Every != 0 {
			continue
		}
		if f.Chance > 0 && p.dice.Float64() >= f.Chance {
			continue
		}
		return f
	}
	return Fault{}
}

// header sets what the fault adds to an answer.
func (f Fault) header(h http.Header) {
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
	}
}

package bench

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a run came to.
type Report struct {
	Version string    `json:"version"`
	Date    time.Time `json:"date"`
	Took    float64   `json:"took"` // seconds
	Machine Machine   `json:"machine"`
	Figures []Figure  `json:"figures"`
}

// Machine is what the figures were measured on.
type Machine struct {
	OS         string `json:"os"`
	Processor  string `json:"processor,omitempty"`
	Cores      int    `json:"cores"`
	GOMAXPROCS int    `json:"gomaxprocs"`
	Go         string `json:"go"`
}

// Figure is one measured value, beside its reference where it has one.
type Figure struct {
	Scenario string `json:"scenario"`
	Case     string `json:"case"`
	Name     string `json:"name"`
	Unit     string `json:"unit,omitempty"`

	Relay float64 `json:"relay"` // the median of the rounds

	Reference float64 `json:"reference,omitzero"` // the median too; 0 for none
	Against   string  `json:"against,omitempty"`  // what Reference is: bare, alone, 1 channel
	// Ratio is the relay by the reference: the median of each round's own ratio.
	Ratio float64 `json:"ratio,omitzero"`

	Goal string `json:"goal,omitempty"`
	Met  *bool  `json:"met,omitempty"` // with Goal

	Rounds []Round `json:"rounds,omitempty"`
}

// Round is one round's values.
type Round struct {
	Relay     float64 `json:"relay"`
	Reference float64 `json:"reference,omitzero"`
}

func newReport(o Options) *Report {
	return &Report{
		Version: o.Version,
		Date:    time.Now().UTC().Truncate(time.Second),
		Machine: Machine{
			OS: runtime.GOOS + "/" + runtime.GOARCH, Processor: processor(), Cores: runtime.NumCPU(),
			GOMAXPROCS: runtime.GOMAXPROCS(0), Go: runtime.Version(),
		},
	}
}

// processor is the first processor's name, where the system tells it.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// goal is what a figure should come to: its ratio, or itself, at least or at most.
type goal struct {
	ofRatio bool
	atLeast bool
	value   float64
}

func (g goal) text(unit string) string {
	sign := "≤"
	if g.atLeast {
		sign = "≥"
	}
	if g.ofRatio {
		return fmt.Sprintf("%s %.2f×", sign, g.value)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", sign, number(g.value), unit))
}

// add settles a figure from its rounds and appends it.
func (r *Report) add(f Figure, g *goal) {
	var relay, reference, ratios []float64
	for _, round := range f.Rounds {
		relay = append(relay, round.Relay)
		if f.Against != "" {
			reference = append(reference, round.Reference)
			if round.Reference != 0 {
				ratios = append(ratios, round.Relay/round.Reference)
			}
		}
	}
	f.Relay, f.Reference, f.Ratio = median(relay), median(reference), median(ratios)
	if g != nil {
		value := f.Relay
		if g.ofRatio {
			value = f.Ratio
		}
		f.Goal = g.text(f.Unit)
		f.Met = new(value <= g.value)
		if g.atLeast {
			f.Met = new(value >= g.value)
		}
	}
	r.Figures = append(r.Figures, f)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	half := len(values) / 2
	if len(values)%2 == 1 {
		return values[half]
	}
	return (values[half-1] + values[half]) / 2
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "omnirelay %s, %s\n%s, %d cores (%s), %s\n\n", r.Version, r.Date.Format(time.DateTime+" MST"),
		r.Machine.Processor, r.Machine.Cores, r.Machine.OS, r.Machine.Go); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SCENARIO\tCASE\tFIGURE\tRELAY\tREFERENCE\tRATIO\tGOAL\t")
	for _, f := range r.Figures {
		reference, ratio, met := "", "", ""
		if f.Against != "" {
			reference = number(f.Reference) + " " + f.Against
			ratio = fmt.Sprintf("%.2f", f.Ratio)
		}
		if f.Met != nil {
			met = "missed"
			if *f.Met {
				met = "met"
			}
		}
		name := f.Name
		if f.Unit != "" {
			name += ", " + f.Unit
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Scenario, f.Case, name, number(f.Relay), reference, ratio, f.Goal, met)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// number writes a value with as many digits as mean something.
func number(v float64) string {
	switch {
	case v == float64(int64(v)) || v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

package bench

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFigureIsSettledFromItsRounds(t *testing.T) {
	t.Parallel()
	r := newReport(Options{Version: "v1"})
	rounds := []Round{{Relay: 800, Reference: 1000}, {Relay: 90, Reference: 100}, {Relay: 5000, Reference: 10000}}
	r.add(Figure{Scenario: "throughput", Case: "c", Name: "delivered", Unit: "/s", Against: "bare", Rounds: rounds},
		&goal{ofRatio: true, atLeast: true, value: 0.8})
	f := r.Figures[0]
	require.InDelta(t, 800, f.Relay, 0)
	require.InDelta(t, 1000, f.Reference, 0)
	require.InDelta(t, 0.8, f.Ratio, 1e-9)
	require.Equal(t, "≥ 0.80×", f.Goal)
	require.True(t, *f.Met)
}

func TestGoals(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		relay, reference float64
		goal             goal
		text             string
		met              bool
	}{
		"ratio too low":   {79, 100, goal{ofRatio: true, atLeast: true, value: 0.8}, "≥ 0.80×", false},
		"ratio too high":  {151, 100, goal{ofRatio: true, value: 1.5}, "≤ 1.50×", false},
		"ratio at limit":  {150, 100, goal{ofRatio: true, value: 1.5}, "≤ 1.50×", true},
		"value too high":  {1.51, 0, goal{value: 1.5}, "≤ 1.50 ms", false},
		"value good":      {1.49, 0, goal{value: 1.5}, "≤ 1.50 ms", true},
		"nothing allowed": {1, 0, goal{}, "≤ 0 ms", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReport(Options{})
			f := Figure{Unit: "ms", Rounds: []Round{{tc.relay, tc.reference}}}
			if tc.reference != 0 {
				f.Against = "alone"
			}
			r.add(f, &tc.goal)
			require.Equal(t, tc.text, r.Figures[0].Goal)
			require.Equal(t, tc.met, *r.Figures[0].Met)
		})
	}
}

func TestReportIsWrittenForPeopleAndPrograms(t *testing.T) {
	t.Parallel()
	r := newReport(Options{Version: "v1.2.3"})
	r.add(Figure{Scenario: "latency", Case: "1000/s", Name: "p50", Unit: "ms", Against: "bare", Rounds: []Round{{1.75, 0.5}}}, &goal{value: 1.5})
	r.add(Figure{Scenario: "memory", Case: "idle", Name: "resident", Unit: "MB", Rounds: []Round{{Relay: 123.4}}}, nil)
	var table strings.Builder
	require.NoError(t, r.WriteTable(&table))
	lines := strings.Split(strings.TrimSpace(table.String()), "\n")
	require.Contains(t, lines[0], "omnirelay v1.2.3")
	require.Equal(t, strings.Fields("latency 1000/s p50, ms 1.75 0.50 bare 3.50 ≤ 1.50 ms missed"), strings.Fields(lines[len(lines)-2]))
	require.Equal(t, strings.Fields("memory idle resident, MB 123"), strings.Fields(lines[len(lines)-1]))

	data, err := json.Marshal(r)
	require.NoError(t, err)
	var back Report
	require.NoError(t, json.Unmarshal(data, &back))
	require.Equal(t, *r, back)
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	require.NoError(t, Options{}.Check())
	for want, o := range map[string]Options{
		`sync "never"`:              {Sync: []string{"never"}},
		"must be 1 or more":         {Connections: []int{0}},
		"128 bytes":                 {Size: 100},
		`no scenario "throughputs"`: {Scenarios: []string{"throughputs"}},
	} {
		require.ErrorContains(t, o.Check(), want)
	}
}

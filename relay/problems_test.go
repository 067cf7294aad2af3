package relay_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
)

func TestProblems(t *testing.T) {
	t.Parallel()
	var p relay.Problems
	require.NoError(t, p.Err())
	p.Add("name", "must not be empty")
	p.Add("icon", "must have at most 64 characters")
	require.EqualError(t, p.Err(), "name must not be empty; icon must have at most 64 characters")
	var again relay.Problems
	require.ErrorAs(t, p.Err(), &again)
	require.Equal(t, relay.FieldError{Field: "name", Rule: "must not be empty"}, again[0])
}

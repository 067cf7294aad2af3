package helpdesk_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/helpdesk"
)

func one(f helpdesk.Field) helpdesk.Call { return helpdesk.Call{Fields: []helpdesk.Field{f}} }

func TestCheckHoldsEachFieldToItsRule(t *testing.T) {
	t.Parallel()
	digits := regexp.MustCompile(`^[0-9]+$`)
	tests := map[string]struct {
		field helpdesk.Field
		value string
		rule  string // "" when the value is good
	}{
		"text":                    {helpdesk.Field{}, "any ü", ""},
		"required, empty":         {helpdesk.Field{Required: true}, "", "is required"},
		"too short":               {helpdesk.Field{Min: 3}, "üü", "must have at least 3 characters"},
		"short enough":            {helpdesk.Field{Min: 3}, "üüü", ""},
		"too long":                {helpdesk.Field{Max: 2}, "üüü", "must have at most 2 characters"},
		"characters, not bytes":   {helpdesk.Field{Max: 3}, "üüü", ""},
		"pattern":                 {helpdesk.Field{Pattern: digits}, "12", ""},
		"pattern, broken":         {helpdesk.Field{Pattern: digits}, "12a", "must match ^[0-9]+$"},
		"enum":                    {helpdesk.Field{Enum: []string{"a", "b"}}, "b", ""},
		"enum, another":           {helpdesk.Field{Enum: []string{"a", "b"}}, "ab", "must be one of a, b"},
		"integer":                 {helpdesk.Field{Kind: helpdesk.Integer}, "9223372036854775807", ""},
		"integer, 2^63":           {helpdesk.Field{Kind: helpdesk.Integer}, "9223372036854775808", "must be from 0 to 9223372036854775807"},
		"integer, negative":       {helpdesk.Field{Kind: helpdesk.Integer}, "-1", "must be a whole number, digits only"},
		"integer, fraction":       {helpdesk.Field{Kind: helpdesk.Integer}, "1.0", "must be a whole number, digits only"},
		"integer, exponent":       {helpdesk.Field{Kind: helpdesk.Integer}, "1e3", "must be a whole number, digits only"},
		"integer, other digits":   {helpdesk.Field{Kind: helpdesk.Integer}, "١", "must be a whole number, digits only"},
		"integer below its least": {helpdesk.Field{Kind: helpdesk.Integer, Low: 1, High: 9}, "0", "must be from 1 to 9"},
		"integer above its most":  {helpdesk.Field{Kind: helpdesk.Integer, Low: 1, High: 9}, "10", "must be from 1 to 9"},
		"decimal":                 {helpdesk.Field{Kind: helpdesk.Decimal}, "0.5", ""},
		"decimal, not a number":   {helpdesk.Field{Kind: helpdesk.Decimal}, "NaN", "must be a number from 0 to 1e12"},
		"decimal, infinite":       {helpdesk.Field{Kind: helpdesk.Decimal}, "Inf", "must be a number from 0 to 1e12"},
		"boolean":                 {helpdesk.Field{Kind: helpdesk.Boolean}, "true", ""},
		"boolean as a number":     {helpdesk.Field{Kind: helpdesk.Boolean}, "0", ""},
		"boolean, yes":            {helpdesk.Field{Kind: helpdesk.Boolean}, "yes", "must be true or false"},
		"duration":                {helpdesk.Field{Kind: helpdesk.Duration}, "1m30s", ""},
		"duration without unit":   {helpdesk.Field{Kind: helpdesk.Duration}, "30", "must be a duration such as 30s, 5m or 72h"},
		"time":                    {helpdesk.Field{Kind: helpdesk.Timestamp}, "2026-11-22T10:00:00+01:00", ""},
		"time without zone":       {helpdesk.Field{Kind: helpdesk.Timestamp}, "2026-11-22 10:00:00", "must be a time such as 2026-11-22T10:00:00Z"},
		"list":                    {helpdesk.Field{Kind: helpdesk.List, Enum: []string{"a", "b"}}, "a, b,", ""},
		"list, bad element":       {helpdesk.Field{Kind: helpdesk.List, Enum: []string{"a", "b"}}, "a,c", "must be one of a, b"},
		"list of numbers, bad":    {helpdesk.Field{Kind: helpdesk.List, Low: 1}, "5,x", "must be a whole number, digits only"},
		"list, required":          {helpdesk.Field{Kind: helpdesk.List, Required: true}, " , ", "is required"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.field.Name = "f"
			err := one(test.field).Check(helpdesk.Values{"f": test.value})
			if test.rule == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, relay.Problems{{Field: "f", Rule: test.rule}}, err)
		})
	}
}

func TestAnEmptyTextMeansNotGivenUnlessItClears(t *testing.T) {
	t.Parallel()
	call := helpdesk.Call{Fields: []helpdesk.Field{{Name: "plain", Min: 1}, {Name: "clears", Min: 1, Clearable: true}}}
	v := helpdesk.Values{"plain": "", "clears": ""}
	require.NoError(t, call.Check(v))
	require.False(t, v.Given("plain"))
	require.True(t, v.Given("clears"))
}

func TestARefusedFieldMayBeEmptyOnly(t *testing.T) {
	t.Parallel()
	call := one(helpdesk.Field{Name: "files", Refuse: "is not supported"})
	require.NoError(t, call.Check(helpdesk.Values{"files": "", "other": "x"}))
	for _, name := range []string{"files", "files[0]"} {
		require.Equal(t, relay.Problems{{Field: "files", Rule: "is not supported"}}, call.Check(helpdesk.Values{name: "1"}))
	}
}

func TestUnknownFields(t *testing.T) {
	t.Parallel()
	fields := []helpdesk.Field{{Name: "ticketID"}, {Name: "tags", Kind: helpdesk.List}}
	tests := map[string]struct {
		name    string
		lenient string // the rule in a tolerant call, "" when it is let pass
		strict  string
	}{
		"known":                {"ticketID", "", ""},
		"list element":         {"tags[0]", "", ""},
		"list, nested deeper":  {"tags[0][x]", "", ""},
		"stranger":             {"colour", "", "is no field of this call"},
		"another spelling":     {"ticketId", "is no field of this call; ticketID is", "is no field of this call; ticketID is"},
		"with an underscore":   {"ticket_id", "is no field of this call; ticketID is", "is no field of this call; ticketID is"},
		"nested under a field": {"ticketID[a]", "must be one value, not a list or an object", "must be one value, not a list or an object"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for strict, rule := range map[bool]string{false: test.lenient, true: test.strict} {
				err := helpdesk.Call{Fields: fields, Strict: strict}.Check(helpdesk.Values{test.name: "1"})
				if rule == "" {
					require.NoError(t, err, "strict: %v", strict)
					continue
				}
				require.ErrorContains(t, err, rule, "strict: %v", strict)
			}
		})
	}
}

func TestWithReplacesByName(t *testing.T) {
	t.Parallel()
	call := helpdesk.PostMessage().With(helpdesk.Field{Name: "message", Min: 1}, helpdesk.Field{Name: "new"})
	require.NoError(t, call.Check(helpdesk.Values{"ticketID": "1", "type": "5", "message": "ok"}))
	require.ErrorContains(t, helpdesk.PostMessage().Check(helpdesk.Values{"ticketID": "1", "type": "5", "message": "ok"}), "message must have at least 5")
}

func TestTheHookFindsItsFieldsUnderManyNames(t *testing.T) {
	t.Parallel()
	want := helpdesk.Values{"ticketID": "7", "message": "hello", "toAddress": "ann", "userID": "3"}
	tests := map[string]helpdesk.Values{
		"documented names": {"ticketID": "7", "message": "hello", "toAddress": "ann", "userID": "3"},
		"snake case":       {"ticket_id": "7", "text": "hello", "to_address": "ann", "user_id": "3"},
		"any case":         {"TICKETID": "7", "Body": "hello", "TO": "ann", "UserId": "3"},
		"in an envelope":   {"type": "message.created", "id": "9", "data[ticketID]": "7", "data[message]": "hello", "data[to][address]": "ann", "data[user][id]": "3"},
		"nested message":   {"message[text]": "hello", "ticket": "7", "to[address]": "ann", "agent_id": "3"},
		"empty likelier":   {"message": "", "text": "hello", "ticketID": "7", "toAddress": "ann", "userID": "3"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, helpdesk.FromHook(test))
		})
	}
}

func TestTheHookTakesNoPlainIDForTheMessages(t *testing.T) {
	t.Parallel()
	require.False(t, helpdesk.FromHook(helpdesk.Values{"id": "9", "message": "x"}).Given("messageID"))
}

func TestGettersOfAbsentAndBrokenFields(t *testing.T) {
	t.Parallel()
	v := helpdesk.Values{"n": "x", "b": "x", "d": "x"}
	require.Zero(t, v.Integer("n"))
	require.Zero(t, v.Decimal("n"))
	require.False(t, v.Boolean("b"))
	require.Zero(t, v.Duration("d"))
	require.Zero(t, v.Timestamp("d"))
	require.Empty(t, v.List("absent"))
}

func TestListsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	var body []string
	for range 12 {
		body = append(body, "l[]="+string(rune('a'+len(body))))
	}
	v, err := helpdesk.ParseBody("application/x-www-form-urlencoded", []byte(strings.Join(body, "&")), helpdesk.DefaultLimits())
	require.NoError(t, err)
	require.Equal(t, strings.Split("abcdefghijkl", ""), v.List("l"))
}

package helpdesk

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// ReadAnswer reads the body of a 2xx answer of the helpdesk. The specification says that
// there is none, the guides show JSON, so anything is taken: nothing, text such as "ok", or
// JSON. An error envelope in it ("type" or "status" is "error") is a failure in spite of
// the 2xx. The ticket is looked for as ticketID in any spelling, at the top or in item or
// data, then as item.id; it is 0 when the answer names none.
func ReadAnswer(_ http.Header, body []byte) (ticketID int64, err error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if len(body) == 0 || body[0] != '{' {
		return 0, nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var answer map[string]any
	if d.Decode(&answer) != nil {
		return 0, nil //nolint:nilerr // text, or JSON that broke off: the 2xx stands
	}
	for name, value := range answer {
		text, _ := value.(string)
		if key := spelling(name); (key == "type" || key == "status") && strings.EqualFold(text, "error") {
			return 0, refusal(answer)
		}
	}
	objects := []map[string]any{answer}
	for _, name := range []string{"item", "data"} {
		if object, ok := lookUp(answer, name).(map[string]any); ok {
			objects = append(objects, object)
		}
	}
	for _, object := range objects {
		if n := whole(lookUp(object, "ticketid")); n > 0 {
			return n, nil
		}
	}
	if item, ok := lookUp(answer, "item").(map[string]any); ok {
		return whole(lookUp(item, "id")), nil
	}
	return 0, nil
}

// refusal is what an error envelope says.
func refusal(answer map[string]any) error {
	text, _ := lookUp(answer, "message").(string)
	if text = strings.TrimSpace(text); text == "" {
		return errors.New("the helpdesk answered with an error and no reason")
	}
	return errors.New("the helpdesk answered with an error: " + text)
}

// lookUp finds a value whatever the case and underscores of its name. Of several the lesser
// name counts, so that the result does not depend on the order of a map.
func lookUp(object map[string]any, key string) (value any) {
	found := ""
	for name, v := range object {
		if spelling(name) == key && (found == "" || name < found) {
			found, value = name, v
		}
	}
	return value
}

// whole is a number above 0, or a text of one; 0 otherwise.
func whole(v any) int64 {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

package queue

import "encoding/json"

// encodeJSON and decodeJSON are the stored form of records in buckets.
func encodeJSON[V any](v V) ([]byte, error) { return json.Marshal(v) }

func decodeJSON[V any](_ string, data []byte) (v V, err error) {
	err = json.Unmarshal(data, &v)
	return v, err
}

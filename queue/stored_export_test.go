package queue

import "omnirelay/relay"

// The stored form of messages and attempts.
var (
	EncodeMessage = encodeMessage
	EncodeAttempt = encodeAttempt
)

// DecodeMessage reads what EncodeMessage wrote.
func DecodeMessage(data []byte) (m relay.Message, err error) {
	err = decodeMessage(data, &m)
	return m, err
}

// DecodeAttempt reads what EncodeAttempt wrote.
func DecodeAttempt(data []byte) (relay.Attempt, error) { return decodeAttempt(data) }

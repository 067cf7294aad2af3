package queue_test

import (
	"testing"

	"omnirelay/queue/natsd/natsdtest"
)

func TestMain(m *testing.M) { natsdtest.Main(m) }

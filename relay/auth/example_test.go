package auth_test

import (
	"fmt"

	"omnirelay/relay/auth"
)

func ExampleKey_Can() {
	k := auth.Key{Permissions: []auth.Permission{auth.MessageCreate}, Channels: []int64{1001}}
	fmt.Println(k.Can(auth.MessageCreate), k.CanChannel(1001))
	fmt.Println(k.Can(auth.RelayAdmin), k.CanChannel(1002))
	// Output:
	// true true
	// false false
}

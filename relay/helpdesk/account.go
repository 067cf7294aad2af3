package helpdesk

import (
	"net/http"
	"net/url"
	"strings"
)

// Account is where an Omnidesk account answers, and the key to it. Printing one shows no key.
type Account struct {
	// BaseURL is the account's address without /api/v2, such as https://account.omnidesk.com.
	BaseURL string
	// KeyInQuery sends the key as the query parameter apiKey and not as the header apiKey. The
	// specification shows the header; the page on authentication tells of the query.
	KeyInQuery bool

	key func() string // a function shows nothing to fmt, however deep it lies
}

// NewAccount makes an Account that sends the key in the header.
func NewAccount(baseURL, key string) Account {
	return Account{BaseURL: baseURL, key: func() string { return key }}
}

// apiPrefix begins the path of every call.
const apiPrefix = "/api/v2/"

// url is the address of a call such as "chat/addAttachment".
func (a Account) url(call string, query url.Values) string {
	if a.KeyInQuery {
		if query == nil {
			query = url.Values{}
		}
		query.Set("apiKey", a.key())
	}
	address := strings.TrimRight(a.BaseURL, "/") + apiPrefix + call
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return address
}

// header is what every call carries.
func (a Account) header() http.Header {
	h := http.Header{"Accept": {"application/json"}}
	if !a.KeyInQuery {
		// The specification spells it apiKey; names of headers have no case (RFC 9110
		// section 5.1), and this is how net/http writes it.
		h.Set("apiKey", a.key())
	}
	return h
}

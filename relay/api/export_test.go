package api

// Routes lists what the router knows, "METHOD /path" with OpenAPI's notation.
func (a *API) Routes() []string {
	var list []string
	for _, r := range a.echo.Routes() {
		list = append(list, r.Method+" "+openAPIPath(r.Path))
	}
	return list
}

// Catalogue lists the refusals.
func Catalogue() []*Error { return catalogue() }

// EncodeAccepted writes the answer that a message gets.
var EncodeAccepted = encodeAccepted

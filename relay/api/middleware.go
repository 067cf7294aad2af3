package api

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"
)

// log renders errors and writes one line for each request. The path is the route's
// template and the query is left out: both may hold keys and tokens.
func (a *API) log(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		started := time.Now()
		err := next(c)
		level := zerolog.DebugLevel
		var refusal *Error
		if err != nil {
			refusal = asError(err)
			c.Error(refusal)
			// Who hung up before the answer is no failure of ours.
			if refusal.Status >= 500 && c.Request().Context().Err() == nil {
				level = zerolog.WarnLevel
			}
		}
		line := a.o.Log.WithLevel(level)
		if !line.Enabled() {
			return nil
		}
		line.Str("method", c.Request().Method).
			Str("route", cmp.Or(c.Path(), "(none)")).
			Int("status", c.Response().Status).
			Dur("duration", time.Since(started)).
			Str("remote", c.RealIP()).
			Int64("bytes", c.Response().Size)
		if key, ok := c.Get(keyID).(string); ok {
			line.Str("key", key)
		}
		if refusal != nil {
			line.Str("code", refusal.Code)
			if refusal.cause != nil {
				line.AnErr("error", refusal.cause)
			}
		}
		line.Msg("request")
		return nil
	}
}

// keyID is where a request's key id waits for the log line.
const keyID = "omnirelay.key"

// recover turns a panic into an internal error, so that one request's bug ends one request.
func (a *API) recover(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = errInternal.because(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		return next(c)
	}
}

// harden sets what every answer of an API should carry: it is no page, and nobody keeps it.
func harden(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h["X-Content-Type-Options"] = nosniff
		h["Cache-Control"] = noStore
		return next(c)
	}
}

var (
	nosniff = []string{"nosniff"}
	noStore = []string{"no-store"}
)

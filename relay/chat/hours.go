package chat

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // opening hours need the zones, which a minimal image lacks
)

// Hours are an account's opening hours; the zero value is always open.
type Hours struct {
	Zone    string   // IANA name, such as Europe/Amsterdam; empty means UTC
	Periods []Period // none means always open
}

// Period is one line of opening hours: some days of the week, from one minute of the day to
// another. A period that ends at or before its beginning goes on into the next day.
type Period struct {
	First, Last time.Weekday // inclusive; may go over the week's end, as in fri-mon
	From, To    int          // minutes after midnight, 0 to 1440
}

const minutesADay = 24 * 60

// ParsePeriod reads "mon-fri 09:00-17:30", "sat 10:00-14:00" or "sun-sat 00:00-24:00".
func ParsePeriod(text string) (Period, error) {
	bad := errors.New("must each be days and times such as mon-fri 09:00-17:30 or sat 10:00-14:00")
	days, times, ok := strings.Cut(strings.ToLower(strings.TrimSpace(text)), " ")
	if !ok {
		return Period{}, bad
	}
	first, last, ranged := strings.Cut(days, "-")
	if !ranged {
		last = first
	}
	from, to, ok := strings.Cut(strings.TrimSpace(times), "-")
	if !ok {
		return Period{}, bad
	}
	var p Period
	var okFirst, okLast, okFrom, okTo bool
	p.First, okFirst = parseDay(first)
	p.Last, okLast = parseDay(last)
	p.From, okFrom = parseMinute(from)
	p.To, okTo = parseMinute(to)
	if !okFirst || !okLast || !okFrom || !okTo || p.From == minutesADay || p.From == p.To {
		return Period{}, bad
	}
	return p, nil
}

// String is the form that ParsePeriod reads.
func (p Period) String() string {
	days := dayNames[p.First]
	if p.Last != p.First {
		days += "-" + dayNames[p.Last]
	}
	return fmt.Sprintf("%s %02d:%02d-%02d:%02d", days, p.From/60, p.From%60, p.To/60, p.To%60)
}

var dayNames = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func parseDay(text string) (time.Weekday, bool) {
	for day, name := range dayNames {
		if text == name {
			return time.Weekday(day), true
		}
	}
	return 0, false
}

func parseMinute(text string) (int, bool) {
	hour, minute, ok := strings.Cut(text, ":")
	h, errHour := strconv.ParseUint(hour, 10, 8)
	m, errMinute := strconv.ParseUint(minute, 10, 8)
	if !ok || len(hour) != 2 || len(minute) != 2 || errHour != nil || errMinute != nil {
		return 0, false
	}
	return int(h*60 + m), m < 60 && (h < 24 || h == 24 && m == 0)
}

// on reports whether the period begins on the day.
func (p Period) on(day time.Weekday) bool {
	if p.First <= p.Last {
		return p.First <= day && day <= p.Last
	}
	return day >= p.First || day <= p.Last
}

// begins is when a period that is on that day begins and ends, by the wall clock: on the days
// when clocks change it is as long as the wall says.
func (p Period) begins(year int, month time.Month, day int, zone *time.Location) (from, to time.Time) {
	from = time.Date(year, month, day, 0, p.From, 0, 0, zone)
	if p.To <= p.From {
		day++
	}
	return from, time.Date(year, month, day, 0, p.To, 0, 0, zone)
}

// Open reports whether now lies in the opening hours, and when that changes next; the zero
// time when it never does.
func (h Hours) Open(now time.Time) (open bool, until time.Time) {
	if len(h.Periods) == 0 {
		return true, time.Time{}
	}
	zone, err := time.LoadLocation(h.Zone)
	if err != nil {
		zone = time.UTC
	}
	local := now.In(zone)
	year, month, day := local.Date()
	// Yesterday's periods may reach into today; a week ahead every period has begun once.
	// Periods that touch or overlap make one: the end moves on while another covers it.
	var next time.Time
	end := now
	for moved := true; moved; {
		moved = false
		for offset := -1; offset <= 8; offset++ {
			on := time.Date(year, month, day+offset, 12, 0, 0, 0, zone)
			for _, p := range h.Periods {
				if !p.on(on.Weekday()) {
					continue
				}
				from, to := p.begins(on.Year(), on.Month(), on.Day(), zone)
				switch {
				case !from.After(end) && to.After(end):
					end, moved = to, true
				case from.After(now) && (next.IsZero() || from.Before(next)):
					next = from
				}
			}
		}
	}
	switch {
	case !end.After(now):
		return false, next
	case end.Sub(now) > 7*24*time.Hour:
		return true, time.Time{} // round the clock
	}
	return true, end
}

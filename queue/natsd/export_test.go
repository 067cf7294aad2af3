package natsd

import (
	"os"
	"strings"
)

// Dir is the directory of a flusher's block files.
func Dir(f *Flusher) string { return f.dir }

// Blocks lists all block files.
func Blocks(f *Flusher) []string {
	var names []string
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".blk") {
			names = append(names, e.Name())
		}
	}
	return names
}

// Pending lists the block files that the next flush would sync.
func Pending(f *Flusher) []string {
	var names []string
	for _, name := range Blocks(f) {
		if !before(name, f.newest) {
			names = append(names, name)
		}
	}
	return names
}

package main_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "omnirelay"

// floors is the house: a package may import packages of lower floors only.
func floors() map[string]int {
	return map[string]int{
		"signer":       0,
		"relay":        0,
		"relay/egress": 0,

		"relay/jsonobject": 0,

		"queue/natsd":  0,
		"queue/mirror": 0,

		"queue/natsd/natsdtest": 1,

		"queue":          1,
		"endpoints":      1,
		"relay/auth":     1,
		"relay/chat":     1,
		"relay/download": 1,
		"relay/helpdesk": 1,
		"relay/tickets":  1,
		"relay/client":   1,

		"relay/crash":    2,
		"relay/dispatch": 2,
		"relay/deliver":  2,
		"relay/sink":     2,
		"relay/api":      2,

		"relay/config": 3,

		"relay/daemon": 4,

		"relay/bench": 5,

		"cmd/omnirelay": 6,

		// What ships the program, seen from outside: tests only.
		"deploy":    7,
		"relay/e2e": 7,
	}
}

// httpIn and httpOut meet in the logs alone. This holds for their tests too: a test that
// needs both sides belongs to a higher floor.
func httpIn() []string  { return []string{"relay/api", "relay/console"} }
func httpOut() []string { return []string{"relay/deliver", "relay/dispatch"} }

// house is what the tree's files say: for each package what it imports of the project, in
// its program files and in its tests.
type house struct {
	program map[string][]string
	tests   map[string][]string
}

func TestFloors(t *testing.T) {
	t.Parallel()
	require.Empty(t, forbidden(readHouse(t).program))
}

// TestFloorsCatchWhatIsForbidden shows that the check above can fail.
func TestFloorsCatchWhatIsForbidden(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		from, to string
		want     string
	}{
		"upwards":  {"relay", "relay/dispatch", "relay (floor 0) must not import relay/dispatch (floor 2)"},
		"sideways": {"relay/api", "relay/deliver", "relay/api (floor 2) must not import relay/deliver (floor 2)"},
		"unknown":  {"relay/attic", "relay", "package relay/attic stands on no floor: add it to the table of floors"},
		"downward": {"relay/api", "relay", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := strings.Join(forbidden(map[string][]string{tc.from: {tc.to}}), "\n")
			require.Equal(t, tc.want, got)
		})
	}
}

// forbidden lists the imports that break the rule of the floors.
func forbidden(program map[string][]string) []string {
	var broken []string
	floor := floors()
	for _, from := range slices.Sorted(maps.Keys(program)) {
		level, known := floor[from]
		if !known {
			broken = append(broken, fmt.Sprintf("package %s stands on no floor: add it to the table of floors", from))
			continue
		}
		for _, to := range program[from] {
			if other, ok := floor[to]; ok && other >= level {
				broken = append(broken, fmt.Sprintf("%s (floor %d) must not import %s (floor %d)", from, level, to, other))
			}
		}
	}
	return slices.Compact(broken)
}

// TestFloorsHoldNothingElse keeps the table honest: an entry that nothing in the tree
// answers to is a rule that no longer guards anything.
func TestFloorsHoldNothingElse(t *testing.T) {
	t.Parallel()
	h := readHouse(t)
	for name := range floors() {
		if _, ok := h.program[name]; !ok {
			t.Errorf("the table of floors names %s, which does not exist", name)
		}
	}
}

// TestTheHouseIsAsDescribed compares the table with the one that people read.
func TestTheHouseIsAsDescribed(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "architecture.md"))
	require.NoError(t, err)
	rows := regexp.MustCompile("(?m)^\\| (\\d|above) \\| (`[^|]*) \\|").FindAllStringSubmatch(string(text), -1)
	described := map[string]string{}
	for _, row := range rows {
		for name := range strings.SplitSeq(strings.ReplaceAll(row[2], "`", ""), ", ") {
			described[name] = row[1]
		}
	}
	want := map[string]string{}
	for name, level := range floors() {
		switch {
		case name == "queue/natsd/natsdtest" || level > 6: // only for tests
		case level > 4:
			want[name] = "above"
		default:
			want[name] = strconv.Itoa(level)
		}
	}
	require.Equal(t, want, described)
}

func TestHTTPInAndHTTPOutNeverMeet(t *testing.T) {
	t.Parallel()
	h := readHouse(t)
	check := func(from, to []string) {
		for _, f := range from {
			for _, target := range to {
				reached := slices.Contains(h.program[f], target) || slices.Contains(h.tests[f], target)
				require.False(t, reached, "%s must not import %s, nor must its tests", f, target)
			}
		}
	}
	check(httpIn(), httpOut())
	check(httpOut(), httpIn())
}

// TestTestSupportStaysInTests keeps packages that link testing out of the program.
func TestTestSupportStaysInTests(t *testing.T) {
	t.Parallel()
	for from, imports := range readHouse(t).program {
		if strings.HasSuffix(from, "test") {
			continue
		}
		for _, to := range imports {
			require.False(t, strings.HasSuffix(to, "test"), "%s imports %s outside its tests", from, to)
		}
	}
}

// TestPackageNames refuses the names that say nothing about what a package is for.
func TestPackageNames(t *testing.T) {
	t.Parallel()
	for name := range readHouse(t).program {
		base := path.Base(name)
		for _, bad := range []string{"util", "utils", "common", "helper", "helpers", "type", "types", "misc", "shared", "lib", "base"} {
			require.NotEqual(t, bad, base, "package %s: name it after its job", name)
		}
	}
}

// readHouse parses the imports of every Go file of the module.
func readHouse(t *testing.T) house {
	t.Helper()
	root := moduleRoot(t)
	h := house{program: map[string][]string{}, tests: map[string][]string{}}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); file != root && (n == "testdata" || n == "dist" || n == "data" || n[0] == '.' || n[0] == '_') {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		imports, err := projectImports(file)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(dir)
		if strings.HasSuffix(file, "_test.go") {
			h.tests[name] = append(h.tests[name], imports...)
			imports = nil // a package of tests alone still stands on a floor
		}
		h.program[name] = append(h.program[name], imports...)
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, slices.Collect(maps.Keys(h.program)))
	return h
}

// projectImports lists the packages of this module that a file imports, without the module's
// own name in front.
func projectImports(file string) ([]string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		if tail, ours := strings.CutPrefix(p, module+"/"); ours {
			found = append(found, tail)
		}
	}
	return found, nil
}

// moduleRoot is the directory that holds go.mod. Tests run in their package's directory.
func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	_, err = os.Stat(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	return root
}

package daemon

import "syscall"

// manyFiles is as good as no limit.
const manyFiles = 1 << 20

// openFiles is how many files and connections this process may have open at once. The Go runtime
// has raised the limit as far as it may.
func openFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return manyFiles
	}
	return int(min(limit.Cur, manyFiles))
}

// share is what of the open files each of these may take: deliveries under way, connections that
// are kept for the next one, and senders. The last quarter is the store's, which gives up for good
// when it cannot open a file to write to.
func share(files int) int { return max(files/4, 1) }

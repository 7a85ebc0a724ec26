//go:build amd64 || arm64

package parallel

// pause tells the processor that the thread waits in a loop: it then leaves more to the
// other thread of its core.
//
//go:noescape
func pause()

// pause is what the containers on a real node run: it waits for a signal to end, as PID 1 of its container.
//
// With the argument "done" it ends at once and well, as an init container does.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "done" {
		return
	}
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, syscall.SIGINT, syscall.SIGTERM)
	for range ending {
		return
	}
}

// Endpointcache shows what a cache holds, whatever store it is in, and does something about it:
//
//	endpointcache ls sqlite:music.db                    what repositories there are
//	endpointcache find sqlite:music.db tracks           what they have
//	endpointcache show sqlite:music.db tracks 5oGL9 DE  one response, and what would become of it now
//	endpointcache rm sqlite:music.db tracks 5oGL9 DE    away with it
//
// endpointcache --help lists the commands. docs/tool.md is its guide.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // writes fail instead, so that the store is closed
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second interrupt ends the program at once
	p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(p.run(ctx, os.Args[1:]))
}

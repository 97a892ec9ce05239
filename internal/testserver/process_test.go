package testserver

import (
	"os/exec"
	"runtime"
	"sync"
	"testing"
)

// Goroutines change their threads, and threads end, while programs run.
func TestAProgramOutlivesTheThreadsOfOthers(t *testing.T) {
	program, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip(err)
	}
	f, err := newFolder("", "test")
	if err != nil {
		t.Fatal(err)
	}
	defer f.remove()

	var load, programs sync.WaitGroup
	ended := make(chan struct{})
	for range 2 * runtime.GOMAXPROCS(0) {
		load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-ended:
					return
				default:
				}
				if n%1000 == 0 {
					load.Go(runtime.LockOSThread) // the thread ends with this goroutine
				}
			}
		})
	}
	for range 40 {
		programs.Go(func() {
			if err := runProgram(t.Context(), f, program, "0.2"); err != nil {
				t.Error(err)
			}
		})
	}
	programs.Wait()
	close(ended)
	load.Wait()
}

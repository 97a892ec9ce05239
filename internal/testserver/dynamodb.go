package testserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// DynamoDB is Amazon's DynamoDB Local: the service's own interface on a small database,
// without its limits of throughput. It takes any credentials, and listens on all of the
// machine's addresses, as it has no setting for that. Its methods are for one goroutine.
type DynamoDB struct {
	folder  *folder
	java    string // the folder of java
	program string // the folder of the program
	port    int
	durable bool
	process *process
}

// dynamoDBLocal is the package that carries it.
var dynamoDBLocal = npmPackage{
	name: "amplify-dynamodb-simulator", version: "2.9.30",
	digest: "xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ==",
	folder: "package/emulator/", keep: "dynamodb-local", file: "DynamoDBLocal.jar",
}

// javaFolders are where systems keep the Java that they do not put on PATH.
var javaFolders = []string{
	"/usr/lib/jvm/*/bin",
	"/opt/homebrew/opt/openjdk*/bin",
	"/usr/local/opt/openjdk*/bin",
	"/Library/Java/JavaVirtualMachines/*/Contents/Home/bin",
}

// StartDynamoDB starts a server, which the caller has to stop. A durable one keeps its
// tables over a restart. The context is about the start alone.
func StartDynamoDB(ctx context.Context, o *Options) (*DynamoDB, error) {
	java, err := findPrograms(ctx, []string{"java"}, javaFolders...)
	if err != nil {
		return nil, err
	}
	program, err := dynamoDBLocal.fetch(ctx, o)
	if err != nil {
		return nil, err
	}
	d := &DynamoDB{java: java, program: program, durable: o.durable()}
	if d.folder, err = newFolder(o.dir(), "dynamodb"); err != nil {
		return nil, err
	}
	if err = d.prepare(); err == nil {
		err = onFreePort(ctx, func(port int) error {
			d.port = port
			return d.start(ctx)
		})
	}
	if err != nil {
		return nil, errors.Join(err, d.folder.remove())
	}
	return d, nil
}

// prepare makes the folder of the data, and a copy of the program where the server runs
// as a user who cannot read this one's cache.
func (d *DynamoDB) prepare() error {
	data := d.folder.file("data")
	if err := errors.Join(os.Mkdir(data, 0o700), d.folder.give(data)); err != nil {
		return err
	}
	if d.folder.owner == nil {
		return nil
	}
	copied := d.folder.file("program")
	err := os.CopyFS(copied, os.DirFS(d.program))
	d.program = copied
	return err
}

func (d *DynamoDB) start(ctx context.Context) error {
	args := []string{
		"-Xmx768m", "-XX:+UseSerialGC", // it shares the machine with the tests
		"-XX:TieredStopAtLevel=1", // and ends before optimising its code would pay
		"-Djava.library.path=" + filepath.Join(d.program, "DynamoDBLocal_lib"),
		"-Djava.io.tmpdir=" + d.folder.path,
		"-jar", filepath.Join(d.program, "DynamoDBLocal.jar"),
		"-port", strconv.Itoa(d.port), "-sharedDb", "-disableTelemetry",
	}
	if d.durable {
		args = append(args, "-dbPath", d.folder.file("data"))
	} else {
		args = append(args, "-inMemory")
	}
	started, err := startProcess(d.folder, filepath.Join(d.java, "java"), args...)
	if err != nil {
		return err
	}
	if err := started.await(ctx, func() (bool, error) { return d.ready(ctx, started) }); err != nil {
		if strings.Contains(started.lastLines(), "BindException") {
			err = fmt.Errorf("%w: %w", errPortTaken, err)
		}
		return err
	}
	d.process = started
	return nil
}

// ready asks the server, once it has said that it starts. It refuses a request without
// a signature in its own way.
func (d *DynamoDB) ready(ctx context.Context, started *process) (bool, error) {
	out, err := started.output()
	if err != nil || !strings.Contains(out, "CorsParams") || strings.Contains(out, "BindException") {
		return false, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address(d.port), nil)
	if err != nil {
		return false, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, nil //nolint:nilerr // it does not listen yet
	}
	_ = response.Body.Close()
	return response.Header.Get("x-amzn-RequestId") != "", nil
}

// URL returns where dynamodb.Open finds the server. The credentials are no secret.
func (d *DynamoDB) URL() string {
	u := url.URL{
		Scheme:   "dynamodb",
		User:     url.UserPassword("endpointcache", "endpointcache"),
		Host:     address(d.port),
		Path:     "/",
		RawQuery: "region=us-east-1",
	}
	return u.String()
}

// Kill ends the server at once, as a crash would.
func (d *DynamoDB) Kill() error { return d.end(os.Kill) }

// Restart ends the server, if it runs, and starts it on the same port. The tables of one
// that is not durable are gone.
func (d *DynamoDB) Restart(ctx context.Context) error {
	if err := d.end(syscall.SIGTERM); err != nil {
		return err
	}
	return d.start(ctx)
}

// Stop ends the server and removes its folder. It does not wait for clients.
func (d *DynamoDB) Stop() error { return errors.Join(d.end(syscall.SIGTERM), d.folder.remove()) }

func (d *DynamoDB) end(signal os.Signal) error {
	if d.process == nil {
		return nil
	}
	err := d.process.stop(signal)
	d.process = nil
	return err
}

// Ferretdb is the server of the MongoDB tests where there is no mongod: FerretDB
// on SQLite files in the folder data of its working folder.
//
//	ferretdb -port 27017
//
// It is a module of its own, so that the library does not depend on it. It listens
// on 127.0.0.1 alone, says so when it is ready, and reports to nobody.
//
// FerretDB reads and then writes where MongoDB does both in one step, so that of
// two commands that remove one document both may return it. Therefore commands that
// write go one after another here.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	port := flag.Int("port", 0, "the `port` to listen on")
	durable := flag.Bool("durable", false, "wait for the disk")
	flag.Parse()
	debug.SetGCPercent(400) // it reads much and keeps little
	if err := run(context.Background(), *port, *durable); err != nil {
		fmt.Fprintln(os.Stderr, "ferretdb:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, port int, durable bool) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	if err := os.MkdirAll("data", 0o700); err != nil {
		return err
	}
	files := "file:data/"
	if !durable {
		files += "?_pragma=synchronous(off)"
	}
	db, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Handler:   "sqlite",
		SQLiteURL: files,
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- errors.Join(errors.New("the server has ended"), db.Run(ctx)) }()
	behind, err := url.Parse(db.MongoDBURI())
	if err != nil {
		return err
	}
	front := front{behind: behind.Host}
	go func() { ended <- front.serve(ctx, listener) }()
	fmt.Println("listening on", listener.Addr())
	return <-ended
}

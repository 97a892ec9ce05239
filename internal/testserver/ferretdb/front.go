package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

// front passes the messages of clients on to a server, those that write one after
// another.
type front struct {
	behind  string // the server's address
	writing sync.Mutex
}

// serve lets clients in until the listener fails.
func (f *front) serve(ctx context.Context, listener net.Listener) error {
	for {
		client, err := listener.Accept()
		if err != nil {
			return err
		}
		go f.pass(ctx, client)
	}
}

// pass handles one client until it or the server hangs up.
func (f *front) pass(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	var dialer net.Dialer
	server, err := dialer.DialContext(ctx, "tcp", f.behind)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	for {
		request, err := readMessage(client)
		if err != nil {
			return
		}
		reply, err := f.exchange(ctx, server, request)
		if err != nil {
			return
		}
		if _, err := client.Write(reply); err != nil {
			return
		}
	}
}

// exchange sends a message to the server and returns its reply, which is empty
// where the message asks for none.
func (f *front) exchange(ctx context.Context, server net.Conn, request []byte) ([]byte, error) {
	name := command(request)
	if !readers[name] {
		f.writing.Lock()
		defer f.writing.Unlock()
	}
	if _, err := server.Write(request); err != nil {
		return nil, err
	}
	if wantsNoReply(request) {
		return nil, nil
	}
	reply, err := readMessage(server)
	if name == "createIndexes" {
		err = errors.Join(err, indexIDs(ctx))
	}
	return reply, err
}

// A message begins with its length, two numbers, and its opcode. One of the opcode
// OP_MSG goes on with flags, and a section of the kind 0, which is a document whose
// first name is the command's. See
// https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/.
const (
	headerLength = 16
	maxLength    = 48_000_000 + 16_384
	opMsg        = 2013
	moreToCome   = 1 << 1
	nameOffset   = headerLength + 4 + 1 + 4 + 1 // behind flags, kind, length and type
)

func readMessage(from io.Reader) ([]byte, error) {
	header := make([]byte, headerLength)
	if _, err := io.ReadFull(from, header); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(header)
	if length < headerLength || length > maxLength {
		return nil, errors.New("a message of an impossible length")
	}
	message := make([]byte, length)
	copy(message, header)
	_, err := io.ReadFull(from, message[headerLength:])
	return message, err
}

func isOpMsg(message []byte) bool {
	return len(message) > nameOffset && binary.LittleEndian.Uint32(message[12:]) == opMsg
}

func wantsNoReply(message []byte) bool {
	return isOpMsg(message) && binary.LittleEndian.Uint32(message[headerLength:])&moreToCome != 0
}

// readers are the commands that only read, and what is no command of today.
var readers = map[string]bool{
	"": true, "aggregate": true, "buildInfo": true, "count": true, "find": true, "getMore": true, "hello": true, "isMaster": true,
	"ismaster": true, "killCursors": true, "listCollections": true, "listDatabases": true, "listIndexes": true, "ping": true,
}

// command is the name of the message's command, or empty.
func command(message []byte) string {
	if !isOpMsg(message) {
		return ""
	}
	name, _, _ := bytes.Cut(message[nameOffset:], []byte{0})
	return string(name)
}

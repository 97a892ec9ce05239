package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/archive"
	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/settings"
)

// format is that of a file. Without a flag, the file's name tells.
type format struct {
	HAR   bool `name:"har" help:"HAR 1.2, which browsers and HTTP tools open." xor:"format"`
	JSONL bool `name:"jsonl" help:"JSON lines, with all that is stored." xor:"format"`
}

// har reports whether a file is HAR; ok is false if neither flags nor its name tell.
func (f format) har(name string) (har, ok bool) {
	switch {
	case f.HAR || f.JSONL:
		return f.HAR, true
	case strings.EqualFold(filepath.Ext(name), ".har"):
		return true, true
	case strings.EqualFold(filepath.Ext(name), ".jsonl"), strings.EqualFold(filepath.Ext(name), ".ndjson"):
		return false, true
	}
	return false, false
}

type exportCommand struct {
	target
	Tables []string `arg:"" optional:"" name:"table" completion-predictor:"repository" help:"Repositories, or tables; all without."`
	conditions
	format
	Output string `short:"o" help:"The file to write; - is the standard output." default:"-" placeholder:"FILE"`
	Force  bool   `short:"f" help:"Replace the file if it is there."`
	Sorted bool   `help:"Order JSON lines by table and key, so that two exports can be compared. They are held in memory for that."`
}

// Help is what --help tells besides.
func (exportCommand) Help() string {
	return `Writes stored responses to a file: as HAR 1.2, or as JSON lines, which endpointcache import reads with all their parts. The file is as secret as the cache is: only you can read it.

  endpointcache export sqlite:music.db tracks -o tracks.har
  endpointcache export sqlite:music.db --jsonl | gzip > music.jsonl.gz`
}

// exported is the result in JSON.
type exported struct {
	Exported int    `json:"exported"`
	File     string `json:"file"`
}

// Run exports.
func (c *exportCommand) Run(ctx context.Context, s *session) error {
	har, ok := c.har(c.Output)
	if !ok {
		return usagef("it is not said as what: give --har or --jsonl, or a file that is named .har or .jsonl")
	}
	if har && c.Sorted {
		return usagef("--sorted is for JSON lines")
	}
	toFile := c.Output != "-"
	if _, terminal := term.Width(s.stdout); !toFile && terminal && har {
		return usagef("a HAR is not for a terminal: -o FILE writes it to a file")
	}
	if info, err := os.Stat(c.Output); toFile && err == nil && info.IsDir() {
		return usagef("%s is a folder: --output is the name of a file", term.Quote(c.Output))
	}
	if toFile && !c.Force && isFile(c.Output) {
		return usagef("%s is there: --force replaces it", term.Quote(c.Output))
	}
	return c.with(ctx, s, false, func(rc *cache.ResponseCache) error {
		sc, err := c.scope(ctx, s, rc, c.Tables)
		if err != nil {
			return err
		}
		if err := sc.checkOpen(ctx, c.Keys); err != nil {
			return err
		}
		write := archive.WriteLines
		if c.Sorted {
			write = writeSorted
		}
		if har {
			write = archive.WriteHAR
		} else {
			ctx = withCookies(ctx)
		}
		n := 0
		if !toFile {
			n, err = write(ctx, s.out, sc.contents, sc.query)
		} else {
			err = writeFile(c.Output, func(w io.Writer) error {
				n, err = write(ctx, w, sc.contents, sc.query)
				return err
			})
		}
		switch {
		case err != nil:
			return err
		case toFile && s.JSON:
			return s.out.JSON(exported{n, c.Output})
		case toFile:
			s.out.Printf("Wrote %s to %s.\n", human.Things(n, "response", "responses"), term.Quote(c.Output))
		}
		return nil
	})
}

// withCookies is for JSON lines, which keep all parts: cookies, too, that a store has as its program's policy lets it.
func withCookies(ctx context.Context) context.Context {
	return policy.With(ctx, policy.Policy{Cookies: policy.On})
}

// writeSorted writes JSON lines, those of responses in the order of their texts: table and key come first there.
func writeSorted(ctx context.Context, w io.Writer, from *cache.Contents, q cache.Query) (int, error) {
	var b bytes.Buffer
	n, err := archive.WriteLines(ctx, &b, from, q)
	if err != nil {
		return 0, err
	}
	all := bytes.SplitAfter(b.Bytes(), []byte("\n"))
	isResponse := func(line []byte) bool { return bytes.HasPrefix(line, []byte(`{"response"`)) }
	if first := slices.IndexFunc(all, isResponse); first >= 0 {
		slices.SortFunc(all[first:first+n], bytes.Compare)
	}
	for _, line := range all {
		if _, err := w.Write(line); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// isFile reports whether there is something of that name that a file would take the place of.
func isFile(name string) bool {
	_, err := os.Lstat(name)
	return err == nil && !isStream(name)
}

// isStream reports whether a name is that of a device or a pipe, such as /dev/stdout: nothing may take its place.
func isStream(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode()&(os.ModeDevice|os.ModeNamedPipe) != 0
}

// writeFile writes a file that only its owner can read, whole or not at all. A device or a pipe is written to as it is.
func writeFile(name string, write func(io.Writer) error) (err error) {
	if isStream(name) {
		return writeStream(name, write)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // with mode 0600
	if onPath, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("write %s: %w", term.Quote(name), onPath.Err) // without the name that nobody has given
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	w := bufio.NewWriterSize(f, 1<<16)
	err = write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func writeStream(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	return errors.Join(err, f.Close())
}

type importCommand struct {
	target
	File string `arg:"" optional:"" help:"The file; - is the standard input."`
	format
	Repository string `help:"The repository, for requests of any kind, of what in a HAR belongs to none that is there. Without it, that is skipped." placeholder:"NAME"`
	For        string `help:"How long the responses of another program's HAR live from when they were requested, such as 7d." placeholder:"DURATION" xor:"for"`
	Never      bool   `help:"They never expire." xor:"for"`
	Yes        bool   `short:"y" help:"Do it without asking."`
}

// life is how long responses live for which the file does not tell; 0: the default.
func (c *importCommand) life() (time.Duration, error) {
	switch {
	case c.Never:
		return settings.NeverExpire, nil
	case c.For == "":
		return 0, nil
	}
	d, err := human.ParseDuration(c.For)
	if err != nil {
		return 0, usagef("--for: %w", err)
	}
	if d == 0 {
		return 0, usagef("--for %s is no time at all", c.For)
	}
	return d, nil
}

// Help is what --help tells besides.
func (importCommand) Help() string {
	return `Reads what endpointcache export has written, or a HAR of a browser or another tool. Responses of the same key are replaced.

  endpointcache import sqlite:music.db music.jsonl
  endpointcache import sqlite:site.db site.har --repository site`
}

// imported is the result in JSON.
type imported struct {
	Imported int `json:"imported"`
	Skipped  int `json:"skipped"`
}

// Run imports.
func (c *importCommand) Run(ctx context.Context, s *session) (err error) {
	if c.File == "" {
		return usagef("it is not said which file to import")
	}
	life, err := c.life()
	if err != nil {
		return err
	}
	in := s.stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	} else if !c.Yes {
		return usagef("the input is the file, so nobody can be asked: --yes does it without asking")
	}
	r := bufio.NewReaderSize(in, 1<<16)
	har, ok := c.har(c.File)
	if !ok {
		har = looksLikeHAR(r)
	}
	peek := archive.PeekLines
	if har {
		peek = archive.PeekHAR
	}
	file, err := peek(r) // before there is a store: one is made for a file that is one
	if err != nil {
		return err
	}
	if err := s.agreeToAdd(ctx, consent{Yes: c.Yes}, string(c.Store), c.Name, "Import to it?"); err != nil {
		return err
	}
	return c.with(ctx, s, true, func(rc *cache.ResponseCache) error {
		var result imported
		if har {
			result.Imported, result.Skipped, err = archive.ReadHAR(ctx, file, rc.Contents(), archive.HARTarget{Repository: c.Repository, Expire: life})
		} else {
			result.Imported, err = archive.ReadLines(withCookies(ctx), file, rc.Contents())
		}
		if err != nil {
			if result.Imported > 0 {
				s.say("%s imported before that", human.Things(result.Imported, "response", "responses"))
			}
			return err
		}
		if s.JSON {
			return s.out.JSON(result)
		}
		s.out.Printf("Imported %s.\n", human.Things(result.Imported, "response", "responses"))
		if result.Skipped > 0 {
			s.out.Printf("%s skipped, as no repository has the requests: --repository names one for them.\n", human.Count(result.Skipped))
		}
		return nil
	})
}

// looksLikeHAR reports whether a file begins as a HAR does: with a member "log".
func looksLikeHAR(r *bufio.Reader) bool {
	begin, _ := r.Peek(512)
	begin = bytes.TrimPrefix(begin, []byte("\ufeff"))
	begin = bytes.TrimLeft(begin, " \t\r\n")
	begin, object := bytes.CutPrefix(begin, []byte("{"))
	return object && bytes.HasPrefix(bytes.TrimLeft(begin, " \t\r\n"), []byte(`"log"`))
}

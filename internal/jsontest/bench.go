package jsontest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Record is what an API may answer with, of 2 KiB.
type Record struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Explicit   bool              `json:"explicit"`
	Popularity int               `json:"popularity"`
	Markets    []string          `json:"available_markets"`
	IDs        map[string]string `json:"external_ids"`
	Artists    []Artist          `json:"artists"`
	Features   []Feature         `json:"features"`
	Text       string            `json:"description"`
}

// Artist is one of a Record's.
type Artist struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Genres []string `json:"genres"`
	URL    *string  `json:"url"`
}

// Feature is one of a Record's.
type Feature struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

func record(i int) Record {
	id := func(n int) string { return fmt.Sprintf("6fWoFduMpBem73DMLCO%03d", (i*31+n)%1000) }
	r := Record{
		ID: id(0), Name: "A name as long as names are, é", Popularity: i % 100,
		Markets: strings.Fields("AT AU BE BR CA CH DE DK ES FI FR GB IE IT JP MX NL NO NZ PL PT SE US ZA"),
		IDs:     map[string]string{"isrc": id(1), "ean": id(2)},
		Text:    strings.Repeat("Some words of a text. ", 36),
	}
	for n := range 3 {
		url := "https://api.example.com/v1/artists/" + id(n)
		r.Artists = append(r.Artists, Artist{ID: id(n), Name: "An artist", Genres: []string{"some genre", "another"}, URL: &url})
	}
	for n := range 10 {
		r.Features = append(r.Features, Feature{Name: "tempo", Value: float64(n) * 12.0731})
	}
	return r
}

// Bench measures decoding and encoding of 2 and 20 KiB.
func (l Library) Bench(b *testing.B) {
	one := record(0)
	many := make([]Record, 10)
	for i := range many {
		many[i] = record(i)
	}
	b.Run("2KiB", func(b *testing.B) { bench(b, l, one) })
	b.Run("20KiB", func(b *testing.B) { bench(b, l, many) })
}

func bench[V any](b *testing.B, l Library, v V) {
	data, err := json.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			var v V
			if err := l.Unmarshal(data, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := l.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

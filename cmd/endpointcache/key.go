package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/driver"
)

func columnOf(t cache.Table, name string) int {
	return slices.IndexFunc(t.Key, func(c driver.Column) bool { return c.Name == name })
}

// parseValue is the value of a key column that text tells.
func parseValue(c driver.Column, text string) (any, error) {
	switch c.Kind {
	case driver.Int:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the key column %s is an integer, which %s is not", term.Quote(c.Name), term.Quote(text))
		}
		return n, nil
	case driver.Bool:
		switch text {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, fmt.Errorf("the key column %s is true or false, not %s", term.Quote(c.Name), term.Quote(text))
	default:
		return text, nil
	}
}

// parseKey reads a key as the arguments of a command tell it: name=value for a column, or a value for the next one
// that is not named. Columns may be left out.
func parseKey(t cache.Table, words []string) (map[string]any, error) {
	values := make(map[string]any)
	var unnamed []string
	for _, word := range words {
		name, text, ok := strings.Cut(word, "=")
		i := columnOf(t, name)
		if !ok || i < 0 {
			unnamed = append(unnamed, word)
			continue
		}
		if _, twice := values[name]; twice {
			return nil, fmt.Errorf("the key column %s is given twice", term.Quote(name))
		}
		v, err := parseValue(t.Key[i], text)
		if err != nil {
			return nil, err
		}
		values[name] = v
	}
	for _, c := range t.Key {
		if _, given := values[c.Name]; given || len(unnamed) == 0 {
			continue
		}
		v, err := parseValue(c, unnamed[0])
		if err != nil {
			return nil, err
		}
		values[c.Name] = v
		unnamed = unnamed[1:]
	}
	if len(unnamed) > 0 {
		return nil, fmt.Errorf("the key of %s has the columns %s: %s is too much", term.Text(t.Name), columnNames(t), term.Quote(unnamed[0]))
	}
	return values, nil
}

func columnNames(t cache.Table) string {
	var names []string
	for _, c := range t.Key {
		names = append(names, term.Text(c.Name))
	}
	return strings.Join(names, ", ")
}

// keyWords is a key as arguments that [parseKey] reads: the values in order, or with names where they would be misread. No
// argument has a NUL: then it is a flag with the key in JSON.
func keyWords(key []cache.KeyColumn) string {
	if slices.ContainsFunc(key, func(c cache.KeyColumn) bool { return strings.Contains(fmt.Sprint(c.Value), "\x00") }) {
		if document, err := marshal(jsonKey(key)); err == nil {
			return "--key-json=" + term.Quote(string(document))
		}
	}
	misread := func(c cache.KeyColumn) bool {
		text := fmt.Sprint(c.Value)
		name, _, ok := strings.Cut(text, "=")
		return strings.HasPrefix(text, "-") || ok && slices.ContainsFunc(key, func(c cache.KeyColumn) bool { return c.Name == name })
	}
	named := slices.ContainsFunc(key, misread)
	var words []string
	for _, c := range key {
		word := fmt.Sprint(c.Value)
		if named {
			word = c.Name + "=" + word
		}
		words = append(words, term.Quote(word))
	}
	return strings.Join(words, " ")
}

// text is a text in JSON: a string, or where it is not UTF-8 an object with the bytes in base64.
type text string

// MarshalJSON writes the text.
func (t text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return marshal(string(t))
	}
	return json.Marshal(struct {
		Base64 []byte `json:"base64"`
	}{[]byte(t)})
}

// marshal is the JSON of v, in which < and > stay as they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// jsonKey is a key as an object, with the columns in their order.
type jsonKey []cache.KeyColumn

// MarshalJSON writes the key.
func (k jsonKey) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, c := range k {
		if i > 0 {
			b.WriteByte(',')
		}
		value := c.Value
		if s, ok := value.(string); ok {
			value = text(s)
		}
		name, err := marshal(c.Name)
		if err != nil {
			return nil, err
		}
		v, err := marshal(value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// parseKeyJSON reads what a jsonKey is written as.
func parseKeyJSON(document string) (map[string]any, error) {
	decoder := json.NewDecoder(strings.NewReader(document))
	decoder.UseNumber()
	var columns map[string]any
	if err := decoder.Decode(&columns); err != nil {
		return nil, fmt.Errorf("it is an object such as {\"id\": 5, \"market\": \"DE\"}: %w", err)
	}
	if decoder.More() {
		return nil, errors.New("something comes after the object")
	}
	for name, v := range columns {
		switch v := v.(type) {
		case string, bool:
		case json.Number:
			n, err := v.Int64()
			if err != nil {
				return nil, fmt.Errorf("%s is no integer of 64 bits", v)
			}
			columns[name] = n
		case map[string]any:
			encoded, ok := v["base64"].(string)
			if !ok || len(v) != 1 {
				return nil, fmt.Errorf("an object as a value is {\"base64\": …}, which that of %s is not", term.Quote(name))
			}
			var raw []byte
			if err := json.Unmarshal([]byte(strconv.Quote(encoded)), &raw); err != nil {
				return nil, fmt.Errorf("the value of %s is no base64", term.Quote(name))
			}
			columns[name] = string(raw)
		default:
			return nil, fmt.Errorf("the value of %s is neither a string, a number, true or false nor {\"base64\": …}", term.Quote(name))
		}
	}
	return columns, nil
}

package payload

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/endpointcache/endpointcache/internal/jsonpath"
)

// Split takes apart a body that holds an item for each of several values, such as
// ids. The i-th element of the result is the item for values[i] as it stands in
// the body, nil where there is none. Its memory is its own.
type Split = func(body []byte, values []string) ([][]byte, error)

// Array takes the items out of a body that has them in a JSON array, as they stand
// there and in their order, nil for null. An array that is null has none. path leads to
// the array through the members of objects, as in "items" or "data.tracks"; if it is
// empty, the body itself is the array. A dot in a member's name is written as \., a
// backslash as \\, as in `data\.v1.tracks`. A path that is malformed is the error of
// every call.
func Array(path string) func(body []byte) ([][]byte, error) {
	names, malformed := jsonpath.Split(path)
	return func(body []byte) ([][]byte, error) {
		if malformed != nil {
			return nil, malformed
		}
		items, err := arrayAt(body, names)
		if err != nil {
			return nil, err
		}
		for i, item := range items {
			items[i] = bytes.Clone(item)
		}
		return items, nil
	}
}

// SplitArray takes apart a JSON array that has an item for each value, in their
// order, null where there is none. Items that are fewer or more are an error. path is
// as for [Array].
func SplitArray(path string) Split {
	array := Array(path)
	return func(body []byte, values []string) ([][]byte, error) {
		items, err := array(body)
		if err != nil {
			return nil, err
		}
		if len(items) != len(values) {
			return nil, fmt.Errorf("the array %q has %d items for %d values", path, len(items), len(values))
		}
		return items, nil
	}
}

// SplitArrayBy takes apart a JSON array of objects in any order, each of which tells
// by a member, a string or a number, which value it is for. They are compared as
// texts: "A" is not "a", nor 1.0 the number 1. Items for other values are left out, and
// those without such a member; of several for one value, the first counts. That there
// are items and none of them has the member is an error: its name is wrong. path is
// as for [Array], and id leads in the same way from an item to the member, as in "id"
// or "track.id".
func SplitArrayBy(path, id string) Split {
	arrayNames, malformed := jsonpath.Split(path)
	names, malformedID := jsonpath.Split(id)
	return func(body []byte, values []string) ([][]byte, error) {
		if err := cmp.Or(malformed, malformedID); err != nil {
			return nil, err
		}
		list, err := arrayAt(body, arrayNames)
		if err != nil {
			return nil, err
		}
		byID := make(map[string][]byte, len(list))
		var without error // of the last item without an id
		for _, item := range list {
			if item == nil {
				continue
			}
			text, err := textAt(item, names)
			if err != nil {
				without = fmt.Errorf("no item has a string or number %q: %w", id, err)
				continue
			}
			if _, twice := byID[text]; !twice {
				byID[text] = item
			}
		}
		if without != nil && len(byID) == 0 {
			return nil, without
		}
		return inOrder(byID, values), nil
	}
}

// SplitObject takes apart a JSON object whose members have the values for names. A
// null is no item. path leads to it as it leads [Array] to an array.
func SplitObject(path string) Split {
	names, malformed := jsonpath.Split(path)
	return func(body []byte, values []string) ([][]byte, error) {
		if malformed != nil {
			return nil, malformed
		}
		raw, err := at(body, names)
		if err != nil {
			return nil, err
		}
		byName, err := members(raw)
		if err != nil {
			return nil, fmt.Errorf("no object is at %q: %w", path, syntaxError(err))
		}
		return inOrder(byName, values), nil
	}
}

// at returns the JSON text that the names of members lead to.
func at(body []byte, names []string) ([]byte, error) {
	for i, name := range names {
		value, err := member(body, name)
		if err != nil {
			return nil, fmt.Errorf("there is no member %q: %w", jsonpath.Join(names[:i+1]), syntaxError(err))
		}
		if value == nil {
			return nil, fmt.Errorf("there is no member %q", jsonpath.Join(names[:i+1]))
		}
		body = value
	}
	return body, nil
}

// arrayAt returns the elements of the array that the names of members lead to.
func arrayAt(body []byte, names []string) ([][]byte, error) {
	text, err := at(body, names)
	if err != nil {
		return nil, err
	}
	list, err := elements(text)
	if err != nil {
		return nil, fmt.Errorf("no array is at %q: %w", jsonpath.Join(names), syntaxError(err))
	}
	return list, nil
}

// textAt is the text of a member that is a string or a number.
func textAt(item []byte, names []string) (string, error) {
	value, err := at(item, names)
	if err != nil {
		return "", err
	}
	switch c := value[0]; {
	case c == '"':
		var text string
		err := json.Unmarshal(value, &text)
		return text, err
	case c == '-', '0' <= c && c <= '9':
		return string(value), nil
	default:
		return "", errors.New("the member is of another kind")
	}
}

// inOrder copies the items for values.
func inOrder(items map[string][]byte, values []string) [][]byte {
	list := make([][]byte, len(values))
	for i, value := range values {
		list[i] = bytes.Clone(items[value])
	}
	return list
}

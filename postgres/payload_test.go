package postgres_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/postgres"
)

// bodies are payloads, and whether JSONB can hold them.
var bodies = []struct {
	text string
	json bool
}{
	{`{"a": 1.10, "b": "\u00e9", "a": 2, "big": 12345678901234567890, "z": 1e400}`, true},
	{`null`, true}, {` [1, "two", {}] `, true}, {`"\ud83c\udfb5"`, true}, {`"\\u0000"`, true}, {`-0.5E+10`, true}, {"\"\u2028\"", true},
	{strings.Repeat("[", 900) + strings.Repeat("]", 900), true}, {`1e9999`, true}, {`1e-9999`, true}, {strings.Repeat("9", 5000), true},
	{``, false}, {`<html>not found</html>`, false}, {`{"a":`, false}, {`{} {}`, false}, {"\xef\xbb\xbf{}", false},
	{`"\u0000"`, false}, {`"a\u0000b"`, false}, {`"\ud800"`, false}, {`"\udc00"`, false}, {`"\ud800\u0041"`, false}, {`"\ud83c\\dfb5"`, false},
	{"\"\xff\"", false}, {"{\"\x00\": 1}", false}, {`1e999999`, false}, {strings.Repeat("[", 9000) + strings.Repeat("]", 9000), false},
}

func TestAnyBodyComesBackByteForByteAndJSONCanBeQueried(t *testing.T) {
	for _, payload := range []postgres.PayloadType{postgres.Bytea, postgres.Text, postgres.JSONB} {
		t.Run(payload.String(), func(t *testing.T) {
			schema := newSchema(t)
			s := open(t, serverURL(t), &postgres.Options{Schema: schema, Tables: map[string]postgres.TableOptions{"tracks": {Payload: payload}}})
			table := openTable(t, s)
			var entries []driver.Entry
			var keys []driver.Key
			for i, body := range bodies {
				e := track(i)
				e.Status, e.Payload = http.StatusNotFound, []byte(body.text)
				entries, keys = append(entries, e), append(keys, e.Key)
			}
			for range 2 { // new, then replaced, in bulk and one by one
				if err := table.Put(t.Context(), entries); err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
						t.Fatalf("%.80q: %v", e.Payload, err)
					}
				}
			}
			err := table.Get(t.Context(), keys, driver.Selection{Parts: driver.Payload}, func(i int, e driver.Entry) {
				if !bytes.Equal(e.Payload, entries[i].Payload) {
					t.Errorf("%.80q came back as %.80q", entries[i].Payload, e.Payload)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if payload != postgres.JSONB {
				return
			}
			c := connect(t)
			for i, body := range bodies {
				var isJSON, right bool
				err := c.QueryRow(t.Context(), "SELECT payload IS NOT NULL, payload IS NULL OR payload = convert_from(_bytes, 'UTF8')::jsonb FROM "+schema+".tracks WHERE id = $1",
					keys[i][0]).Scan(&isJSON, &right)
				if err != nil || isJSON != body.json || !right {
					t.Errorf("%.80q: JSONB is %v, the same: %v, %v", body.text, isJSON, right, err)
				}
			}
		})
	}
}

func TestAHeaderThatIsNoJSONIsRefusedAsAWhole(t *testing.T) {
	s := open(t, serverURL(t), &postgres.Options{Schema: newSchema(t)})
	table := openTable(t, s)
	for _, header := range []string{"odd", `{"a": "\u0000"}`, `{"a":`, "\xff", "\x00"} {
		entries, _ := trackEntries(1_500)
		entries[1_400].Header = header
		if err := table.Put(t.Context(), entries); err == nil || !strings.Contains(err.Error(), "header") {
			t.Errorf("%q: %v", header, err)
		}
		if n, err := table.Count(t.Context(), driver.Filter{}); err != nil || n != 0 {
			t.Errorf("%d entries were saved, %v", n, err)
		}
	}
}

func TestWhatPostgreSQLCannotHoldIsTooLarge(t *testing.T) {
	s := open(t, serverURL(t), &postgres.Options{Schema: newSchema(t)})
	table := openTable(t, s)
	large := track(1)
	large.Payload = make([]byte, 1<<30) // is not touched, so it takes no memory
	err := table.Put(t.Context(), []driver.Entry{track(0), large})
	if !errors.Is(err, driver.ErrTooLarge) {
		t.Errorf("the error is %v", err)
	}
	if n, err := table.Count(t.Context(), driver.Filter{}); err != nil || n != 0 {
		t.Errorf("%d entries were saved, %v", n, err)
	}
}

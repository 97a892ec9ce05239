package measure_test

import (
	"context"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/fleetsim/measure"
	"github.com/endpointcache/endpointcache/internal/fleetsim/model"
	"github.com/endpointcache/endpointcache/internal/fleetsim/simulation"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/sqlite"
)

// little is enough to see that something is measured.
var little = measure.Effort{Rounds: 2, Single: 20, Busy: time.Millisecond, Changes: 3}

func TestMeasure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "costs.db")
	costs, err := measure.Measure(t.Context(), func(ctx context.Context) (driver.Store, error) { return sqlite.Open(ctx, path, nil) }, little)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]model.Cost{
		"get": costs.Get, "bulk get": costs.GetMany, "save": costs.Save,
		"lease": costs.Lease, "refused": costs.Refused, "release": costs.Release,
	} {
		if c.Latency.Median() <= 0 || c.PerSecond <= 0 {
			t.Errorf("%s costs %+v", name, c)
		}
	}
	store, err := sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if tables, err := store.Tables(t.Context()); err != nil || len(tables) != 0 {
		t.Errorf("it leaves %v, %v", tables, err)
	}
}

func TestMemoryGet(t *testing.T) {
	store, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if took, err := measure.MemoryGet(t.Context(), store, little); err != nil || took.Median() <= 0 {
		t.Errorf("a get takes %v, %v", took, err)
	}
}

func TestAFileOfCosts(t *testing.T) {
	f := &measure.File{Date: "2026-01-02", Cores: 2, Memory: simulation.Constant(time.Microsecond), Stores: map[string]*measure.Store{
		"redis": {Costs: model.Costs{Get: model.Cost{Latency: simulation.Constant(time.Millisecond), PerSecond: 10}}},
	}}
	text, err := f.Text()
	if err != nil {
		t.Fatal(err)
	}
	read, err := measure.Parse(text)
	if err != nil || !reflect.DeepEqual(read, f) {
		t.Errorf("%s is read as %+v, %v", text, read, err)
	}
	if c, err := read.Costs("redis"); err != nil || c.Get != f.Stores["redis"].Get || c.Memory != f.Memory {
		t.Errorf("the costs are %+v, %v", c, err)
	}
	if _, err := read.Costs("mongodb"); err == nil {
		t.Error("there are costs of a store that was not measured")
	}
	if _, err := measure.Parse([]byte("{")); err == nil {
		t.Error("half a file is read")
	}
}

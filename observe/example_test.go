package observe_test

import (
	"context"
	"fmt"
	"log"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/observe"
	"github.com/endpointcache/endpointcache/settings"
)

// A program's SDK reads what is recorded. This one has a reader that is asked by hand; others
// export to a collector, or are asked by Prometheus.
func Example() {
	reader := metric.NewManualReader()
	meters := metric.NewMeterProvider(metric.WithReader(reader))

	o, err := observe.New(&observe.Options{MeterProvider: meters})
	if err != nil {
		log.Fatal(err)
	}
	below, err := memory.New(nil) // or redis.Open, or any other
	if err != nil {
		log.Fatal(err)
	}
	store, err := o.Store(below)
	if err != nil {
		log.Fatal(err)
	}
	music, err := cache.New(store, &cache.Options{Hooks: o.Hooks()})
	if err != nil {
		log.Fatal(err)
	}
	defer music.Close()

	ctx := context.Background()
	tracks, err := cache.CreateRepository(ctx, music, settings.RepositorySettings[string, track]{Name: "tracks"})
	if err != nil {
		log.Fatal(err)
	}
	if _, _, err := tracks.Get(ctx, "1"); err != nil {
		log.Fatal(err)
	}
	var data metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &data); err != nil {
		log.Fatal(err)
	}
	for _, m := range data.ScopeMetrics[0].Metrics {
		fmt.Println(m.Name, m.Unit)
	}
	// Output: db.client.operation.duration s
}

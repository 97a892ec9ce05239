package clients_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/policy"
)

// prometheusAPI answers queries by POST and GET, or by GET alone, as old versions do. Like
// Prometheus, it says nothing of caching.
func prometheusAPI(post bool) func() http.Handler {
	return func() http.Handler {
		mux := http.NewServeMux()
		answer := func(w http.ResponseWriter, data any) {
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data, "warnings": []string{"a remote read failed"}})
		}
		metric := func(r *http.Request) map[string]string {
			return map[string]string{"__name__": r.FormValue("query"), "job": "api"}
		}
		mux.HandleFunc("/api/v1/query", func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("query") == "up{" {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"status":"error","errorType":"bad_data","error":"unclosed left brace"}`)
				return
			}
			answer(w, map[string]any{"resultType": "vector", "result": []any{
				map[string]any{"metric": metric(r), "value": []any{json.Number(r.FormValue("time")), "1"}},
			}})
		})
		mux.HandleFunc("/api/v1/query_range", func(w http.ResponseWriter, r *http.Request) {
			answer(w, map[string]any{"resultType": "matrix", "result": []any{
				map[string]any{"metric": metric(r), "values": []any{
					[]any{json.Number(r.FormValue("start")), "0.5"}, []any{json.Number(r.FormValue("end")), "+Inf"},
				}},
			}})
		})
		mux.HandleFunc("/api/v1/series", func(w http.ResponseWriter, r *http.Request) {
			r.ParseForm()
			var series []any
			for _, match := range r.Form["match[]"] {
				series = append(series, map[string]string{"__name__": match})
			}
			answer(w, series)
		})
		mux.HandleFunc("/api/v1/label/{name}/values", func(w http.ResponseWriter, r *http.Request) {
			answer(w, []string{r.PathValue("name") + "-1", r.PathValue("name") + "-2"})
		})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && !post {
				w.Header().Set("Allow", "GET")
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			mux.ServeHTTP(w, r)
		})
	}
}

func queryPrometheus(t testing.TB, _ int, via http.RoundTripper) any {
	t.Helper()
	client, err := api.NewClient(api.Config{Address: "http://" + host, RoundTripper: via})
	check(t, err)
	v1 := prometheus.NewAPI(client)
	ctx, now := t.Context(), time.Unix(1_750_000_000, 0)
	var read []any
	add := func(value any, warnings prometheus.Warnings, err error) {
		read = append(read, value, warnings, said(err))
	}
	for range 2 {
		for _, query := range []string{"up", "rate(requests[5m])", "up{"} {
			value, warnings, err := v1.Query(ctx, query, now)
			add(value, warnings, err)
		}
		value, warnings, err := v1.Query(ctx, "up", now.Add(time.Minute))
		add(value, warnings, err)
		value, warnings, err = v1.QueryRange(ctx, "up", prometheus.Range{Start: now, End: now.Add(time.Hour), Step: time.Minute})
		add(value, warnings, err)
		labels, warnings, err := v1.LabelValues(ctx, "job", nil, now, now.Add(time.Hour))
		add(labels, warnings, err)
		series, warnings, err := v1.Series(ctx, []string{"up", "down"}, now, now.Add(time.Hour))
		add(series, warnings, err)
	}
	return read
}

func TestPrometheus(t *testing.T) {
	all := func(n int) asked { return asked{cold: reached{n, 0}, warm: reached{n, 0}, expired: reached{n, 0}} }
	t.Run("POST", func(t *testing.T) { // is not cached, and labels are asked for with GET
		(&scene{
			origin: prometheusAPI(true), client: queryPrometheus,
			policy:  asked{cold: reached{13, 0}, warm: reached{12, 0}, expired: reached{13, 0}},
			control: all(14),
		}).compare(t)
	})
	t.Run("GET", func(t *testing.T) { // each POST is refused once more
		(&scene{
			origin: prometheusAPI(false), client: queryPrometheus,
			policy:  asked{cold: reached{20, 0}, warm: reached{14, 0}, expired: reached{20, 0}},
			control: all(26),
		}).compare(t)
	})
	t.Run("cached POST", func(t *testing.T) {
		(&scene{
			origin: prometheusAPI(true), client: queryPrometheus,
			options: cache.Options{Policy: policy.Policy{Methods: []string{http.MethodPost}}},
			policy:  asked{cold: reached{8, 0}, warm: reached{2, 0}, expired: reached{8, 0}},
			control: all(14),
		}).compare(t)
	})
}

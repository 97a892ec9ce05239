package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// titles are the tracks that the API has.
var titles = map[string]string{"a": "Blue in Green", "b": "So What", "c": "Freddie Freeloader", "d": "All Blues"}

// api is a small music API on a loopback port.
type api struct {
	URL      string
	requests atomic.Int64
	server   *http.Server
}

// startAPI starts an API that runs until Close.
func startAPI(ctx context.Context) (*api, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &api{URL: "http://" + listener.Addr().String()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/tracks/{id}", track)
	mux.HandleFunc("GET /v1/tracks", tracks)
	mux.HandleFunc("GET /v1/search", search)
	mux.HandleFunc("GET /v1/me", me)
	a.server = &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.requests.Add(1)
			mux.ServeHTTP(w, r)
		}),
	}
	go a.server.Serve(listener) // until Close, of which its error tells
	return a, nil
}

// Close stops the API.
func (a *api) Close() error { return a.server.Close() }

func track(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	title, ok := titles[id]
	if !ok {
		answer(w, http.StatusNotFound, map[string]string{"error": "no such track"})
		return
	}
	answer(w, http.StatusOK, Track{ID: id, Title: title})
}

// tracks answers for many ids, with null for those that are unknown.
func tracks(w http.ResponseWriter, r *http.Request) {
	found := []*Track{}
	for id := range strings.SplitSeq(r.FormValue("ids"), ",") {
		if title, ok := titles[id]; ok {
			found = append(found, &Track{ID: id, Title: title})
		} else {
			found = append(found, nil)
		}
	}
	answer(w, http.StatusOK, map[string]any{"tracks": found})
}

func search(w http.ResponseWriter, r *http.Request) {
	found := []Track{}
	for id, title := range titles {
		if strings.Contains(strings.ToLower(title), r.FormValue("q")) {
			found = append(found, Track{ID: id, Title: title})
		}
	}
	answer(w, http.StatusOK, found)
}

func me(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer demo" {
		answer(w, http.StatusUnauthorized, map[string]string{"error": "who are you?"})
		return
	}
	answer(w, http.StatusOK, map[string]string{"name": "Demo"})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone needs no answer
}

package preambles

import "github.com/endpointcache/endpointcache/origin"

type Playlist struct{ Title string }

type user struct{ ID string }

var (
	baseURL, userID string
	userOf          func(*http.Request) user
	tokenOf         func(user string) (string, error)
	renew           func(context.Context, string) (origin.Token, error)
	playlists       *fetch.Fetcher[string, Playlist]
)

package preambles

type PlaylistKey struct {
	ID string `path:"id"`
}

type Album struct {
	Artists []struct{ ID string }
}

package preambles

var (
	trackSettings = Tracks
	baseURL       string
	sdk           *http.Client
)

package archive

import (
	"encoding/json"
	"time"
)

// The parts of HAR 1.2, http://www.softwareishard.com/blog/har-12-spec/, that are written and read. Names
// with an underscore are those of who has written the file: ours hold what HAR has no place for.

type harCreator struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// harOwn is what we add to a log.
type harOwn struct {
	Version int     `json:"version"`
	Tables  []table `json:"tables"`
}

type harEntry struct {
	Started  string       `json:"startedDateTime"`
	Time     float64      `json:"time"`
	Request  harRequest   `json:"request"`
	Response harResponse  `json:"response"`
	Cache    struct{}     `json:"cache"`
	Timings  harTimings   `json:"timings"`
	Comment  string       `json:"comment,omitempty"`
	Own      *harOwnEntry `json:"_endpointcache,omitempty"`
}

// harOwnEntry is what we add to an entry: all of the response but its body, which is there if the content
// is not that to the byte.
type harOwnEntry struct {
	response
	Body *body `json:"body,omitempty"`
}

type harRequest struct {
	Method      string       `json:"method"`
	URL         string       `json:"url"`
	HTTPVersion string       `json:"httpVersion"`
	Cookies     []harCookie  `json:"cookies"`
	Headers     []harField   `json:"headers"`
	QueryString []harField   `json:"queryString"`
	PostData    *harPostData `json:"postData,omitempty"`
	HeadersSize int64        `json:"headersSize"`
	BodySize    int64        `json:"bodySize"`
}

type harPostData struct {
	MimeType string     `json:"mimeType"`
	Params   []harField `json:"params"`
	Text     string     `json:"text"`
}

type harResponse struct {
	Status      int         `json:"status"`
	StatusText  string      `json:"statusText"`
	HTTPVersion string      `json:"httpVersion"`
	Cookies     []harCookie `json:"cookies"`
	Headers     []harField  `json:"headers"`
	Content     harContent  `json:"content"`
	RedirectURL string      `json:"redirectURL"`
	HeadersSize int64       `json:"headersSize"`
	BodySize    int64       `json:"bodySize"`
}

type harContent struct {
	Size     int64   `json:"size"`
	MimeType string  `json:"mimeType"`
	Text     *string `json:"text,omitempty"` // nil: it is not known
	Encoding string  `json:"encoding,omitempty"`
}

type harField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type harCookie struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type harTimings struct {
	Send    float64 `json:"send"`
	Wait    float64 `json:"wait"`
	Receive float64 `json:"receive"`
}

// foreignEntry is an entry of any program: what is not needed may be of any form.
type foreignEntry struct {
	Started  string           `json:"startedDateTime"`
	Request  *foreignRequest  `json:"request"`
	Response *foreignResponse `json:"response"`
	Own      json.RawMessage  `json:"_endpointcache"`
}

type foreignRequest struct {
	Method   string       `json:"method"`
	URL      string       `json:"url"`
	Headers  []harField   `json:"headers"`
	PostData *harPostText `json:"postData"`
}

type harPostText struct {
	Text     *string `json:"text"`
	Encoding string  `json:"encoding"`
}

type foreignResponse struct {
	Status      json.Number     `json:"status"`
	StatusText  string          `json:"statusText"`
	HTTPVersion string          `json:"httpVersion"`
	Headers     []harField      `json:"headers"`
	Content     *foreignContent `json:"content"`
	BodySize    json.Number     `json:"bodySize"`
}

type foreignContent struct {
	Size     json.Number `json:"size"`
	MimeType string      `json:"mimeType"`
	Text     *string     `json:"text"`
	Encoding string      `json:"encoding"`
}

// harTime is an instant as HAR has it.
func harTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }

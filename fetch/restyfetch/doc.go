// Package restyfetch lets package fetch send with a resty client, and with all that it is
// set up to do:
//
//	client := resty.New().SetBaseURL("https://api.example.com").SetAuthToken(token).SetRetryCount(3)
//	c, err := fetch.NewClient(restyfetch.Options(client))
//
// Its headers, credentials, cookies, query parameters, middlewares, transport, timeout and
// redirect policy apply, and so do its own retries. Programs that do not import this
// package do not link resty.
package restyfetch

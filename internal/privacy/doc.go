// Package privacy tests that secrets stay where they are: it runs the library's jobs with
// marked secrets in all parts of requests and responses, and looks for them in log lines,
// errors, reports, counts and the bytes of the stores.
package privacy

// Package gen makes a Go package out of an OpenAPI document: a declaration for each
// operation whose responses can be cached, with its key, its pages and batches, and what the
// API's writes make old.
//
//	out, err := gen.Generate(ctx, document, gen.Options{Name: "openapi.yaml", Config: config})
//	if err != nil {
//		return err // such as a DocumentError, which has the line
//	}
//	if err := out.WriteTo("librarycache"); err != nil {
//		return err
//	}
//	return out.Report.Text(os.Stdout)
//
// Documents are OpenAPI 3.0 and 3.1, as JSON or YAML; Swagger 2.0 is converted. The generated
// package imports the library's own module, and that of the payload types which the
// [Config] names. The same document and configuration give the same bytes.
//
// # What becomes of an operation
//
// A GET or HEAD is cached, and a POST that the configuration says only reads. All of its
// parameters that can make a difference are part of its key. Where one cannot be, requests
// that have it do not match, or the operation is skipped: two requests that differ never
// share a key. The [Report] lists each operation with what was decided, and why.
//
// Everything else is a write: it makes the stored responses of its own path old, those of
// the listing that it is an item of, and, where nothing is read at its path, those of the
// path above.
package gen

//go:build !unix

package filesystem_test

import "errors"

func makePipe(string) error { return errors.ErrUnsupported }

// Package access tells what this user may do with a file.
package access

package origin

import (
	"fmt"
	"strings"

	"github.com/endpointcache/endpointcache/internal/secret"
)

// panicError is a panic in a function of the options.
type panicError struct{ text string }

func (e *panicError) Error() string { return e.text }

// caught calls a function of the options, by that name. A panic is an error without the
// secrets that its value may have: the function may run where nobody else can recover,
// and the request's caller is to know why there is no answer.
func caught(name string, function func(), secrets ...string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			value := fmt.Sprint(p)
			for _, token := range secrets {
				if token != "" {
					value = strings.ReplaceAll(value, token, "[token]")
				}
			}
			err = Permanent(&panicError{fmt.Sprintf("panic in %s: %s", name, secret.Mask(value))})
		}
	}()
	function()
	return nil
}

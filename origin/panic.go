package origin

import (
	"fmt"
	"strings"
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
			for _, secret := range secrets {
				if secret != "" {
					value = strings.ReplaceAll(value, secret, "[token]")
				}
			}
			err = Permanent(&panicError{fmt.Sprintf("panic in %s: %s", name, value)})
		}
	}()
	function()
	return nil
}

// Package expire holds what the library's packages have to know of expiries.
package expire

import (
	"fmt"
	"time"
)

// never is settings.NeverExpire.
const never time.Duration = -1

// Validate reports what keeps d from being an expiry: it is positive,
// settings.NeverExpire, or zero for the default.
func Validate(d time.Duration) error {
	if d < 0 && d != never {
		return fmt.Errorf("expiry %v is negative; settings.NeverExpire keeps responses for ever", d)
	}
	return nil
}

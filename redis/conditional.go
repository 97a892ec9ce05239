package redis

import (
	"context"
	"errors"

	"github.com/endpointcache/endpointcache/driver"
)

func (t *table) PutIf(context.Context, []driver.Entry, driver.Condition) ([]bool, error) {
	return nil, errors.ErrUnsupported
}

func (t *table) Renew(context.Context, []driver.Renewal) ([]bool, error) {
	return nil, errors.ErrUnsupported
}

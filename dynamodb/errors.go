package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/gate"
)

const (
	codeValidation = "ValidationException"
	codeDenied     = "AccessDeniedException"
)

// codeStatement is the same of a statement in a batch.
const codeStatement = string(types.BatchStatementErrorCodeEnumValidationError)

// errorCode is DynamoDB's code for err, or empty.
func errorCode(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// explain adds to err what a caller can act on.
func explain(ctx context.Context, err error) error {
	done := gate.Usable(ctx)
	switch {
	case done != nil && !errors.Is(err, done):
		return fmt.Errorf("%w: %w", done, err)
	case (errorCode(err) == codeValidation || errorCode(err) == codeStatement) && strings.Contains(err.Error(), "size has exceeded"):
		return fmt.Errorf("%w: %w", driver.ErrTooLarge, err)
	}
	return err
}

// statementError is the error of one of a batch's statements.
func statementError(e *types.BatchStatementError) error {
	message := ""
	if e.Message != nil {
		message = *e.Message
	}
	return &smithy.GenericAPIError{Code: string(e.Code), Message: message}
}

// refused are the codes of statements whose condition does not hold: there is another
// item, or none, or one where there must be none.
var refused = []types.BatchStatementErrorCodeEnum{
	types.BatchStatementErrorCodeEnumConditionalCheckFailed,
	types.BatchStatementErrorCodeEnumDuplicateItem,
}

// throttled are the codes of statements that DynamoDB has refused, because there are
// too many at a time or another call has the item: they were not done.
var throttled = []types.BatchStatementErrorCodeEnum{
	types.BatchStatementErrorCodeEnumProvisionedThroughputExceeded,
	types.BatchStatementErrorCodeEnumRequestLimitExceeded,
	types.BatchStatementErrorCodeEnumThrottlingError,
	types.BatchStatementErrorCodeEnumTransactionConflict,
}

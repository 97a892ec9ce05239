package request

import (
	"fmt"

	"github.com/endpointcache/endpointcache/internal/secret"
)

// secrets are names of parameters whose values are secret, besides those of which the
// name tells it, as [secret.Fold] makes them.
type secrets map[string]bool

func newSecrets(names []string) (secrets, error) {
	all := make(secrets, len(names))
	for _, name := range names {
		folded := secret.Fold(name)
		if folded == "" {
			return nil, fmt.Errorf("Secret: %q has no letter or digit", name)
		}
		all[folded] = true
	}
	return all, nil
}

func (s secrets) has(name string) bool {
	return secret.Param(name) || len(s) > 0 && s[secret.Fold(name)]
}

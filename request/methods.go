package request

// MethodNamer is implemented by endpoints that name the methods they are for,
// such as those that [Pattern] makes.
type MethodNamer interface {
	// Methods returns the methods in a slice that is the caller's, none where
	// the endpoint names none.
	Methods() []string
}

// MethodsOf returns the methods that an [Endpoint] of any key type names: that
// such requests are reads was said by naming them.
func MethodsOf(endpoint any) []string {
	if e, ok := endpoint.(MethodNamer); ok {
		return e.Methods()
	}
	return nil
}

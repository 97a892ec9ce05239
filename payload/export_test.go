package payload

// UnmarshalerOf is what JSON decodes values of a type with.
var UnmarshalerOf = unmarshalerOf

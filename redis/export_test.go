package redis

// Persist does again what a server has refused.
var Persist = persist

//go:build !cgo

package main

// Package sqlite has no driver without cgo either, unless a program imports one.
const driverName = "sqlite"

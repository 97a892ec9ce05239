//go:build cgo

package main

import _ "github.com/mattn/go-sqlite3" // for the other program that reads

const driverName = "sqlite3"

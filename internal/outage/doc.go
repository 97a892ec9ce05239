// Package outage tests what becomes of stores while their servers and networks
// fail: calls end in time with an error that says why, nothing is written in half
// or mixed up, and work goes on by itself when the failure is over.
//
// It is a module of its own, because of what it takes to make networks fail.
package outage

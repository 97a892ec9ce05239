// Package layers tries the layers that stand before a store (tier, seal, hooks and observe) on
// every store and in every order. It is a module of its own, as no program that uses one of them
// needs the others, or all stores.
package layers

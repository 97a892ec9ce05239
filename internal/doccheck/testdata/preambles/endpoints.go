package preambles

type Result struct{ Total int }

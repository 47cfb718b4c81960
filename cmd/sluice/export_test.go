package main

// NewParser is the command line itself, for tests of what it accepts.
var NewParser = newParser

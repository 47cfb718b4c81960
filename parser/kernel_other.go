//go:build !amd64 || purego

package parser

// kernels are those that this machine can run.
func kernels() []namedKernel { return []namedKernel{{"portable", portable}} }

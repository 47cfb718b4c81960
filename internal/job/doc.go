// Package job keeps the jobs: one file taken in, from the first byte to its
// offers.
//
// It provides the Job, its states and the one table of steps between them, its
// store in Postgres, the leases by which workers hold jobs, the River args that
// announce them, the webhooks that are told of their end, and the offers that
// come out. Every change of state is one
// transaction together with the River insert and the NOTIFY that are due.
//
// It does not know HTTP, tus, S3 or the contents of files: it keeps object keys
// and configuration texts as it got them.
package job

//go:generate ../../.bin/sqlc generate

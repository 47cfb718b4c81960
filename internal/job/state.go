package job

import (
	"fmt"
	"slices"
)

// State is where a job stands. The texts are those of the API and of the jobs
// table.
type State string

// The states of a job, in the order in which a lucky job passes through them.
const (
	Open           State = "OPEN"            // created, bytes still arriving
	UploadComplete State = "UPLOAD_COMPLETE" // all bytes stored, job enqueued
	InProgress     State = "IN_PROGRESS"     // a worker holds its lease
	JobComplete    State = "JOB_COMPLETE"    // offers can be read
	Failed         State = "FAILED"          // Job.Error says why
	Aborted        State = "ABORTED"         // cancelled, expired or terminated
)

// steps is the one table of allowed steps. A job is born Open. Deleting a job
// is no step: it removes the row, once the state is terminal.
var steps = map[State][]State{
	Open: {
		UploadComplete, // the last byte is recorded
		Aborted,        // terminated, expired or cancelled
	},
	UploadComplete: {
		InProgress,     // a worker claims it
		UploadComplete, // its River job is gone: enqueued anew
		Aborted,        // cancelled
	},
	InProgress: {
		JobComplete,    // offers committed
		Failed,         // the file's fault, or no attempt left
		UploadComplete, // released by its worker, or its lease expired
		Aborted,        // cancelled
	},
	Failed:      {UploadComplete}, // retried
	Aborted:     {UploadComplete}, // retried
	JobComplete: {},
}

// States returns all states, in the order of the constants.
func States() []State {
	return []State{Open, UploadComplete, InProgress, JobComplete, Failed, Aborted}
}

// CanStep reports whether a job in state s may be brought to state to.
func (s State) CanStep(to State) bool { return slices.Contains(steps[s], to) }

// Valid reports whether s is one of the six states.
func (s State) Valid() bool { _, ok := steps[s]; return ok }

// Terminal reports whether nothing happens to the job any more, unless somebody
// asks for a retry.
func (s State) Terminal() bool { return s == JobComplete || s == Failed || s == Aborted }

// Status returns the lower-case word that the API gives beside the state:
// "uploading", "queued", "processing", "completed", "failed" or "aborted". It
// returns "" for a state that is not valid.
func (s State) Status() string {
	switch s {
	case Open:
		return "uploading"
	case UploadComplete:
		return "queued"
	case InProgress:
		return "processing"
	case JobComplete:
		return "completed"
	case Failed:
		return "failed"
	case Aborted:
		return "aborted"
	}
	return ""
}

// checkStep returns nil or an ErrStep that names both states.
func checkStep(from, to State) error {
	if !from.CanStep(to) {
		return fmt.Errorf("%w: %s to %s", ErrStep, from, to)
	}
	return nil
}

// Stage is what a worker does with a job that is InProgress. It is "" in every
// other state.
type Stage string

// The stages of a job in progress, in their order.
const (
	Parsing    Stage = "parsing"
	Scoring    Stage = "scoring"
	Persisting Stage = "persisting"
)

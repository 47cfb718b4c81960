package audit

import "slices"

// Action is what can be done that the log tells of: a kind of thing and a verb.
type Action string

// The actions. Bytes of an upload are none, nor is what workers do for a job's sake: of these the ledger and the job's
// steps tell.
const (
	JobCreate       Action = "job.create" // Detail: the door
	JobCancel       Action = "job.cancel"
	JobRetry        Action = "job.retry"
	JobDelete       Action = "job.delete"
	ResultRead      Action = "result.read"   // Detail: offers, aggregates, rejects or portfolio
	UploadCreate    Action = "upload.create" // a partial one, which has no job
	UploadComplete  Action = "upload.complete"
	UploadTerminate Action = "upload.terminate"
	UploadExpire    Action = "upload.expire"
	KeyCreate       Action = "key.create" // Detail: the role
	KeyRotate       Action = "key.rotate" // Detail: the new key
	KeyRevoke       Action = "key.revoke"
	SessionCreate   Action = "session.create"
	SessionEnd      Action = "session.end"
	TokenCreate     Action = "token.create"
	WebhookCreate   Action = "webhook.create"
	WebhookDelete   Action = "webhook.delete"
	WebhookEnable   Action = "webhook.enable"
	WebhookDisable  Action = "webhook.disable"
	WebhookRotate   Action = "webhook.rotate"
	WebhookReplay   Action = "webhook.replay" // Detail: the delivery
	WatchCreate     Action = "watch.create"
	WatchDelete     Action = "watch.delete"
	TenantSet       Action = "tenant.set"    // Detail: what holds then
	TenantErase     Action = "tenant.erase"  // all that it has, from now on
	TenantErased    Action = "tenant.erased" // Detail: the SHA-256 of the receipt
	QueuePause      Action = "queue.pause"
	QueueResume     Action = "queue.resume"
)

// Actions returns all actions, in the order of the constants.
func Actions() []Action {
	return []Action{
		JobCreate, JobCancel, JobRetry, JobDelete, ResultRead, UploadCreate, UploadComplete, UploadTerminate, UploadExpire,
		KeyCreate, KeyRotate, KeyRevoke, SessionCreate, SessionEnd, TokenCreate,
		WebhookCreate, WebhookDelete, WebhookEnable, WebhookDisable, WebhookRotate, WebhookReplay,
		WatchCreate, WatchDelete, TenantSet, TenantErase, TenantErased, QueuePause, QueueResume,
	}
}

// Valid tells whether a is one of the actions.
func (a Action) Valid() bool { return slices.Contains(Actions(), a) }

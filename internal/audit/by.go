package audit

import "context"

// Who acts, but for those who are named by an id behind a colon.
const (
	Worker   = "worker"   // Sluice by itself: retention, expiry, what nobody asks for
	Loopback = "loopback" // anybody on the machine, while there is no key of any kind
)

// What names those who have an id.
const (
	KeyActor      = "key:"
	SessionActor  = "session:"
	TokenActor    = "token:"
	SubjectActor  = "jwt:"
	OperatorActor = "operator:" // of a command, by the name of its user on that machine
	WatchActor    = "drop:"     // for an object that it found
)

// By says who acts, and from where.
type By struct {
	Actor     string // never a secret
	RequestID string // of the request or command; "" for none
	Client    string // the address that asked; "" for none
}

type byKey struct{}

// With returns a context that says who acts. The gateway sets it once it knows who asks, and a command at its start.
func With(ctx context.Context, by By) context.Context { return context.WithValue(ctx, byKey{}, by) }

// As returns a context in which another acts, for the same request.
func As(ctx context.Context, actor string) context.Context {
	by := byOf(ctx)
	by.Actor = actor
	return With(ctx, by)
}

// byOf returns who acts: the Worker, where nobody was named.
func byOf(ctx context.Context) By {
	if by, ok := ctx.Value(byKey{}).(By); ok {
		return by
	}
	return By{Actor: Worker}
}

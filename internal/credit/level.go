package credit

// Level is a risk level.
type Level string

// The risk levels, best first.
const (
	Low    Level = "LOW"
	Medium Level = "MEDIUM"
	High   Level = "HIGH"
)

// rank returns 0 for the best level to 2 for the worst.
func (l Level) rank() int {
	switch l {
	case Low:
		return 0
	case Medium:
		return 1
	default:
		return 2
	}
}

// perLevel holds a value for each level, by rank.
type perLevel[T any] [3]T

func (p *perLevel[T]) of(l Level) T { return p[l.rank()] }

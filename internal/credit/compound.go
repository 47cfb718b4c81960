package credit

import (
	"encoding/json"
	"fmt"
	"strings"
)

// maxCorners bounds what one average costs; ours.
const maxCorners = 100

// corners is a curve: [[x,y],…] of at least two points, x strictly rising, y
// not falling and 0 to 1.
func corners(key string, at func(*Config) *curve) setting {
	return setting{
		key: key,
		read: func(c *Config, v json.RawMessage) error {
			var pairs [][]json.RawMessage
			if err := json.Unmarshal(v, &pairs); err != nil || len(pairs) < 2 || len(pairs) > maxCorners {
				return refuse(key, "must be a list of 2 to %d points [x,y], not %s", maxCorners, excerpt(v))
			}
			line := make(curve, len(pairs))
			for i, pair := range pairs {
				var err error
				if line[i], err = readPoint(key, pair); err != nil {
					return err
				}
				if i > 0 && (line[i].x <= line[i-1].x || line[i].y < line[i-1].y) {
					return refuse(key, "must have x rising and y not falling; point %d does not follow point %d", i+1, i)
				}
			}
			*at(c) = line
			return nil
		},
		write: func(c *Config, dst []byte) []byte {
			before := byte('[')
			for _, p := range *at(c) {
				dst = append(append(dst, before), '[')
				dst = append(appendDecimal(dst, p.x), ',')
				dst = append(appendDecimal(dst, p.y), ']')
				before = ','
			}
			return append(dst, ']')
		},
	}
}

func readPoint(key string, pair []json.RawMessage) (p point, err error) {
	if len(pair) != 2 {
		return p, refuse(key, "must be a list of points [x,y]; one has %d members", len(pair))
	}
	if p.x, err = readNumber(key, pair[0], -maxNumber, maxNumber); err != nil {
		return p, err
	}
	p.y, err = readNumber(key, pair[1], 0, PPM)
	return p, err
}

// factorWeights is an object of weights; a missing one is 0, but not all are.
func factorWeights(key string, at func(*Config) *weights) setting {
	return setting{
		key: key,
		read: func(c *Config, v json.RawMessage) error {
			var w weights
			err := members(key, v, func(name string, v json.RawMessage) (err error) {
				path := key + "." + name
				switch name {
				case "transaction_volume":
					w.volume, err = readNumber(path, v, 0, maxWeight)
				case "revenue_ratio":
					w.ratio, err = readNumber(path, v, 0, maxWeight)
				case "consistency":
					w.consistency, err = readNumber(path, v, 0, maxWeight)
				default:
					err = refuse(path, "is not a factor")
				}
				return err
			})
			if err == nil && w == (weights{}) {
				err = refuse(key, "must have a sum above 0")
			}
			*at(c) = w
			return err
		},
		write: func(c *Config, dst []byte) []byte {
			w := at(c)
			return fmt.Appendf(dst, `{"consistency":%s,"revenue_ratio":%s,"transaction_volume":%s}`,
				appendDecimal(nil, w.consistency), appendDecimal(nil, w.ratio), appendDecimal(nil, w.volume))
		},
	}
}

// multiples is an object with a factor for each level.
func multiples(key string, at func(*Config) *perLevel[int64]) setting {
	return setting{
		key: key,
		read: func(c *Config, v json.RawMessage) error {
			return readLevels(key, v, func(rank int, path string, v json.RawMessage) (err error) {
				at(c)[rank], err = readNumber(path, v, 0, maxNumber)
				return err
			})
		},
		write: func(c *Config, dst []byte) []byte {
			return appendLevels(dst, func(rank int) []byte { return appendDecimal(nil, at(c)[rank]) })
		},
	}
}

// rates is an object with a rate for each level, kept as written.
func rates(key string, at func(*Config) *perLevel[string]) setting {
	return setting{
		key: key,
		read: func(c *Config, v json.RawMessage) error {
			return readLevels(key, v, func(rank int, path string, v json.RawMessage) error {
				_, err := readNumber(path, v, 0, maxNumber)
				at(c)[rank] = strings.TrimPrefix(string(v), "-") // which only a zero has here
				return err
			})
		},
		write: func(c *Config, dst []byte) []byte {
			return appendLevels(dst, func(rank int) []byte { return []byte(at(c)[rank]) })
		},
	}
}

// readLevels visits the value of each level, of which none may be missing: a
// given object replaces the default whole.
func readLevels(key string, v json.RawMessage, visit func(rank int, path string, v json.RawMessage) error) error {
	var given perLevel[bool]
	err := members(key, v, func(name string, v json.RawMessage) error {
		path, level := key+"."+name, Level(name)
		if level != Low && level != Medium && level != High {
			return refuse(path, "is not a risk level")
		}
		given[level.rank()] = true
		return visit(level.rank(), path, v)
	})
	for _, level := range []Level{Low, Medium, High} {
		if err == nil && !given.of(level) {
			return refuse(key+"."+string(level), "is missing")
		}
	}
	return err
}

func appendLevels(dst []byte, value func(rank int) []byte) []byte {
	return fmt.Appendf(dst, `{"HIGH":%s,"LOW":%s,"MEDIUM":%s}`,
		value(High.rank()), value(Low.rank()), value(Medium.rank()))
}

package upload

// Reading says that the holder of a lock has begun to read its body.
func (s *Store) Reading(id string) { s.locker.reading(id) }

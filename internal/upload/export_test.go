package upload

// Reading says that the holder of a lock has begun to read its body.
func (s *Store) Reading(id string) { s.locker.reading(id) }

// StopRenewing is what the death of its process does to an intake.
func StopRenewing(in *Intake) { in.stop() }

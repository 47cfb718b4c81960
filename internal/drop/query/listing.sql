-- name: ClaimListing :one
-- The watch whose listing is due longest and that nobody lists, or whose lister is given up.
UPDATE watches SET
  list_until = clock_timestamp() + @lease::interval, list_fence = list_fence + 1,
  list_began_at = CASE list_key WHEN '' THEN clock_timestamp() ELSE list_began_at END,
  list_again = list_again AND list_key <> ''
WHERE id = (
  SELECT w.id FROM watches AS w
  WHERE w.list_at <= clock_timestamp() AND (w.list_until IS NULL OR w.list_until < clock_timestamp())
  ORDER BY w.list_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *;

-- name: SaveListing :execrows
-- How far the listing is, and that its lister lives.
UPDATE watches SET list_key = @list_key, list_version = @list_version, list_until = clock_timestamp() + @lease::interval
WHERE id = @id AND list_fence = @list_fence;

-- name: YieldListing :exec
-- Gives the listing back where it stands, after the others that are due.
UPDATE watches SET list_until = NULL, list_at = clock_timestamp() + @pause::interval, list_error = @list_error
WHERE id = @id AND list_fence = @list_fence;

-- name: EndListing :exec
UPDATE watches SET
  list_key = '', list_version = '', list_until = NULL, list_again = false, listed_at = clock_timestamp(), list_error = '',
  list_at = CASE WHEN list_again THEN clock_timestamp() ELSE list_began_at + @pause::interval END
WHERE id = @id AND list_fence = @list_fence;

-- name: ListSoon :exec
-- Something is there now that the listing under way may have passed.
UPDATE watches SET list_again = list_again OR list_until IS NOT NULL OR list_key <> '', list_at = LEAST(list_at, clock_timestamp())
WHERE id = @id;

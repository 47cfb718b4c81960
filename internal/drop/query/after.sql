-- name: ClaimAction :one
-- What is due longest of what can be done now that its job has ended; for '' of any job. It is due again after the
-- lease, unless it is done by then. A job that is gone has no state.
UPDATE drops SET act_at = clock_timestamp() + @lease::interval
FROM (
  SELECT d.id, COALESCE(j.state, '')::text AS state FROM drops AS d
  JOIN watches AS w ON w.id = d.watch_id
  LEFT JOIN jobs AS j ON j.id = d.job_id
  WHERE NOT d.done AND d.act_at <= clock_timestamp() AND (@job_id::text = '' OR d.job_id = @job_id) AND (
    j.id IS NULL OR j.state = 'JOB_COMPLETE'
    OR (d.after = 'tag' AND j.state IN ('FAILED', 'ABORTED') AND d.outcome <> 'tagged ' || j.state))
  ORDER BY d.act_at LIMIT 1 FOR UPDATE OF d SKIP LOCKED) AS due
WHERE drops.id = due.id
RETURNING sqlc.embed(drops), due.state;

-- name: RecordAction :exec
UPDATE drops SET outcome = @outcome, done = @done, gone = @gone, act_at = clock_timestamp() WHERE id = @id;

-- name: KeepRest :exec
-- Nobody says any more what is to be done.
UPDATE drops SET done = true, outcome = 'kept: its watch was removed' WHERE watch_id = @watch_id AND tenant = @tenant AND NOT done;

-- name: HoldObjects :one
-- Who writes objects of a job that is not there yet holds them against the sweep: sweep_at is its token. Of an erased
-- tenant there is no row, and nothing to hold.
INSERT INTO strays (job_id, tenant, sweep_at, fences)
SELECT @job_id, @tenant, clock_timestamp() + make_interval(secs => @seconds::float8), ARRAY[@fence::bigint]
WHERE NOT EXISTS (SELECT FROM erasures WHERE tenant = @tenant)
RETURNING sweep_at, clock_timestamp()::timestamptz AS clock;

-- name: HoldObjectsOn :execrows
UPDATE strays SET sweep_at = @until WHERE job_id = @job_id AND tenant = @tenant AND sweep_at = ANY(@held::timestamptz[]);

-- name: KeepObjects :execrows
-- The result names them from here on. Nothing when the sweep has begun.
DELETE FROM strays WHERE job_id = @job_id AND tenant = @tenant AND sweep_at = ANY(@held::timestamptz[]);

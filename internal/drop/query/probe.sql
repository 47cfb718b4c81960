-- name: TellProbe :exec
SELECT pg_notify('sluice_probe', @place::text);

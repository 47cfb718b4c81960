-- name: OfferFence :one
SELECT jobs.state, results.fence FROM jobs LEFT JOIN results ON results.job_id = jobs.id
WHERE jobs.tenant = @tenant AND jobs.id = @id;

-- name: ListOffers :many
SELECT account_id, date, as_of, amount_minor, transaction_count, credit_score, months,
  composite_ppm, volume_ppm, ratio_ppm, consistency_ppm, approved, risk_level, reason_codes
FROM offers
WHERE job_id = @job_id AND fence = @fence AND tenant = @tenant
  AND (account_id, date) > (@after_account::text, @after_date::date)
  AND approved = ANY(@approved::boolean[]) AND risk_level = ANY(@risk_levels::text[])
ORDER BY account_id, date LIMIT @max_rows;

-- name: ListAccountOffers :many
SELECT account_id, date, as_of, amount_minor, transaction_count, credit_score, months,
  composite_ppm, volume_ppm, ratio_ppm, consistency_ppm, approved, risk_level, reason_codes
FROM offers
WHERE job_id = @job_id AND fence = @fence AND tenant = @tenant
  AND account_id = @account_id AND date > @after_date
  AND approved = ANY(@approved::boolean[]) AND risk_level = ANY(@risk_levels::text[])
ORDER BY date LIMIT @max_rows;

-- name: CountScores :many
SELECT credit_score, approved, count(*) AS offers, sum(amount_minor)::numeric::text AS amount_minor
FROM offers WHERE job_id = @job_id AND fence = @fence AND tenant = @tenant
GROUP BY credit_score, approved ORDER BY credit_score, approved;

-- name: ListOffersBackward :many
SELECT account_id, date, as_of, amount_minor, transaction_count, credit_score, months,
  composite_ppm, volume_ppm, ratio_ppm, consistency_ppm, approved, risk_level, reason_codes
FROM offers
WHERE job_id = @job_id AND fence = @fence AND tenant = @tenant
  AND (sqlc.narg(account_id)::text IS NULL OR account_id = sqlc.narg(account_id))
  AND (@first::boolean OR (account_id, date) < (@after_account::text, @after_date::date))
  AND approved = ANY(@approved::boolean[]) AND risk_level = ANY(@risk_levels::text[])
ORDER BY account_id DESC, date DESC LIMIT @max_rows;

-- name: ListOffersRanked :many
-- By a column that has no index: each page reads all of the job's offers, and
-- keeps no more of them than it shows. A sign of -1 turns the ranks around;
-- offers of one rank are in the order of their keys either way.
WITH ranked AS (
  SELECT account_id, date, as_of, amount_minor, transaction_count, credit_score, months,
    composite_ppm, volume_ppm, ratio_ppm, consistency_ppm, approved, risk_level, reason_codes,
    (sqlc.arg(sign)::bigint * CASE @sort::text WHEN 'amount' THEN amount_minor WHEN 'credit_score' THEN credit_score
      ELSE array_position('{LOW,MEDIUM,HIGH}'::text[], risk_level) END)::bigint AS rank
  FROM offers
  WHERE job_id = @job_id AND fence = @fence AND tenant = @tenant
    AND (sqlc.narg(account_id)::text IS NULL OR account_id = sqlc.narg(account_id))
    AND approved = ANY(@approved::boolean[]) AND risk_level = ANY(@risk_levels::text[]))
SELECT account_id, date, as_of, amount_minor, transaction_count, credit_score, months,
  composite_ppm, volume_ppm, ratio_ppm, consistency_ppm, approved, risk_level, reason_codes
FROM ranked
WHERE (rank, account_id, date) > (@after_rank::bigint, @after_account::text, @after_date::date)
ORDER BY rank, account_id, date LIMIT @max_rows;

-- name: AmountRange :one
SELECT coalesce(min(amount_minor), 0)::bigint AS least, coalesce(max(amount_minor), 0)::bigint AS most
FROM offers WHERE job_id = @job_id AND fence = @fence AND tenant = @tenant AND approved;

-- name: CountAmounts :many
SELECT (amount_minor / @width::bigint)::bigint AS bin, count(*) AS offers
FROM offers WHERE job_id = @job_id AND fence = @fence AND tenant = @tenant AND approved
GROUP BY 1 ORDER BY 1;

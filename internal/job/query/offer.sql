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

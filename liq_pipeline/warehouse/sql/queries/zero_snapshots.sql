-- Snapshots of $symbol that say zero, or what cannot be (their value is null, not 0), and whether they belong to
-- the end of a contract: between two contracts, or the last word for $hours and more. The others are bad prints.
WITH zero AS (
    SELECT ts, coalesce(open_interest_value_usd = 0, false) AS is_zero FROM open_interest
    WHERE symbol = $symbol AND open_interest IS NULL AND bad_print IS NULL
),
above AS (
    SELECT coalesce(max(ts), '-infinity'::TIMESTAMPTZ) AS ts FROM open_interest
    WHERE symbol = $symbol AND open_interest > 0
),
last AS (
    SELECT min(zero.ts) AS since, max(zero.ts) AS until FROM zero, above WHERE zero.ts > above.ts AND zero.is_zero
)
SELECT
    zero.ts,
    zero.is_zero AND coalesce(zero.ts >= last.since AND last.until - last.since >= to_hours($hours), false) AS is_last_word,
    zero.is_zero AND EXISTS (FROM settlements AS s
            WHERE s.symbol = $symbol AND zero.ts >= s.settled_at AND zero.ts <= s.resumed_at) AS is_between_contracts
FROM zero, last
ORDER BY zero.ts

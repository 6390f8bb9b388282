-- Cells of $symbol that were alive at $since or later, in the order in which they were opened.
SELECT opened_at, liquidated_at, side = 'long' AS is_long, leverage, liquidation_price, contracts_opened
FROM position_cohorts
WHERE symbol = $symbol AND (liquidated_at IS NULL OR liquidated_at > $since)
ORDER BY opened_at, side, leverage

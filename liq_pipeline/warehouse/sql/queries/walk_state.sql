-- Cells of $symbol alive at the newest bar that a range from $low to $high touches, in the order of the walk.
SELECT opened_at, side, leverage, liquidation_price, contracts_opened, opening_log_survival
FROM living_positions
WHERE symbol = $symbol
    AND CASE side WHEN 'long' THEN liquidation_price >= $low ELSE liquidation_price <= $high END
ORDER BY side, opened_at, leverage

-- Cells of $symbol that are alive at the newest bar, in the order in which they were opened.
SELECT opened_at, side = 'long' AS is_long, leverage, liquidation_price, contracts_open AS contracts
FROM living_positions
WHERE symbol = $symbol
ORDER BY opened_at, side, leverage

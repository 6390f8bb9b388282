-- Snapshots of open interest of $symbol, contracts, as `liq validate` reads them.
SELECT ts, open_interest
FROM open_interest
WHERE symbol = $symbol AND open_interest > 0
ORDER BY ts

-- Where the walk of $symbol stands: one row per side, at the newest bar that it has walked over.
SELECT ts, side, log_survival, tracked, untracked
FROM position_survival
WHERE symbol = $symbol
QUALIFY ts = max(ts) OVER ()
ORDER BY side

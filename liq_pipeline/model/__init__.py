"""Arrays in, arrays out: margin, first touch, positions, levels, heatmaps, scores. No I/O, no clock.

Not here: where the arrays come from and which table they become (`transform`).
"""

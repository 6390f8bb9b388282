"""The outside world: the exchange's archive, REST and streams, their formats and their defects.

Not here: what follows from the data (`transform`), or an exchange that we simulate (`simulator`).
"""

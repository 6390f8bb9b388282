"""A read-only HTTP service over the published files: routes in `app`, what they answer in `answers`.

Not here: drawing (`views`), or the simulated exchange's servers (`simulator`).
"""

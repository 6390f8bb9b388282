"""A cluster on one machine, all of it real: Postgres, Redis, an S3 store, workers; trials of what can break."""

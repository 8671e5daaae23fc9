"""The database backend `djambda.db`: Django's for PostgreSQL, but waits for a paused database."""

"""The database backend `ENGINE = "djambda.db"`: Django's own for PostgreSQL, but patient."""

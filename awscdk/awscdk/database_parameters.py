"""The parameters of the database cluster. The local cloud's Postgres has the same ones.

This module needs no CDK, which takes seconds to import.
"""

FORCE_TLS = "rds.force_ssl"
"""A parameter of RDS alone: "1" refuses connections without TLS."""

PARAMETERS = {
    FORCE_TLS: "1",
    # In ms. Frozen functions keep their sessions open, and the cluster can pause only without any.
    "idle_session_timeout": "60000",
    # No function runs for longer than 15 minutes.
    "idle_in_transaction_session_timeout": "900000",
}

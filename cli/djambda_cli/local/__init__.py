"""The local cloud: supervisor, emulator, Postgres."""

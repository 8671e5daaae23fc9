"""The `djambda` command: what a person does with the project from a terminal."""

"""The Django project: its layer and its requirements."""

"""What several commands do with a deployment."""

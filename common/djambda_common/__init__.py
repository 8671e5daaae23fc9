"""Code and names that the Django Lambda, the helper functions, the CDK app and the CLI share."""

"""Mail with Amazon SES, for deployments with `MAIL_FROM`. Others never import this package."""

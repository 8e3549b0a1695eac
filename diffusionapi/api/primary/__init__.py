"""The primary dialect: jobs are posted as JSON and polled; finished answers carry the picture as base64."""

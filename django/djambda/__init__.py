"""The djambda runtime: runs a Django project on AWS Lambda.

It ships with every project. `awslambda` has the handler, `awsgi` the WSGI adapter, and `aws` the
settings: a project's settings module ends with `djambda.aws.configure(globals())`.
"""

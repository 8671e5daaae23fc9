"""AWS as the commands see it: CloudFormation, the CDK, versions, logs."""

"""AWS: CloudFormation, the CDK, Lambda's versions, logs. Functions take clients and names."""

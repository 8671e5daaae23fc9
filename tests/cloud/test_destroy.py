"""Deleting a throw-away stack: nothing of it stays."""

from tests.cloud.local import Cloud

TRIAL = "ENVIRONMENT=trial APP_NAME=gone"


def test_destroy_leaves_nothing(cloud: Cloud) -> None:
    deployed = cloud.shell(f"{TRIAL} cdk deploy --app awscdk/app.py --require-approval never")
    assert deployed.returncode == 0, deployed.stderr
    before = cloud.call("s3", "list_buckets")["Buckets"]
    [bucket] = [each["Name"] for each in before if each["Name"].startswith("trial-gone")]
    assert cloud.call("s3", "list_objects_v2", Bucket=bucket)["KeyCount"] > 100

    destroyed = cloud.shell(f"{TRIAL} cdk destroy --app awscdk/app.py --force")

    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    after = cloud.call("s3", "list_buckets")["Buckets"]
    assert bucket not in [each["Name"] for each in after]
    functions = cloud.call("lambda", "list_functions")["Functions"]
    assert not [each for each in functions if each["FunctionName"].startswith("trial-gone")]
    secrets = cloud.call("ssm", "get_parameters_by_path", Path="/djambda/trial/gone")
    assert secrets["Parameters"] == []

"""The templates' resources and properties, without generated ids."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from aws_cdk import Stack, assertions
from aws_cdk import aws_apigateway as apigateway

from awscdk.cors import share_errors
from awscdk.stack import DjambdaStack
from awscdk.variables import BLOCKED_PATHS
from djambda_common.variables import RESERVED
from tests.cloud.checkout import ROOT
from tests.synth.conftest import CONFIGURATIONS, PROJECT, Template, new_app, only, resources

type Templates = Callable[[str], Template]

FREE_WHILE_IDLE = {
    "AWS::ApiGateway::Account": "settings",
    "AWS::ApiGateway::Deployment": "per request",
    "AWS::ApiGateway::GatewayResponse": "settings",
    "AWS::ApiGateway::Method": "per request",
    "AWS::ApiGateway::Resource": "per request",
    "AWS::ApiGateway::RestApi": "per request",
    "AWS::ApiGateway::Stage": "per request, no cache cluster",
    "AWS::CDK::Metadata": "nothing",
    "AWS::EC2::EgressOnlyInternetGateway": "free",
    "AWS::EC2::Route": "free",
    "AWS::EC2::RouteTable": "free",
    "AWS::EC2::SecurityGroup": "free",
    "AWS::EC2::SecurityGroupIngress": "free",
    "AWS::EC2::Subnet": "free",
    "AWS::EC2::SubnetRouteTableAssociation": "free",
    "AWS::EC2::VPC": "free",
    "AWS::EC2::VPCCidrBlock": "free",
    "AWS::EC2::VPCEndpoint": "a gateway endpoint is free",
    "AWS::IAM::Policy": "free",
    "AWS::IAM::Role": "free",
    "AWS::Lambda::Alias": "free",
    "AWS::Lambda::EventInvokeConfig": "free",
    "AWS::Lambda::Function": "per request",
    "AWS::Lambda::LayerVersion": "free",
    "AWS::Lambda::Permission": "free",
    "AWS::Lambda::Version": "free without SnapStart",
    "AWS::Logs::LogGroup": "per GB",
    "AWS::RDS::DBCluster": "per ACU-hour, 0 while paused",
    "AWS::RDS::DBClusterParameterGroup": "free",
    "AWS::RDS::DBInstance": "db.serverless: the cluster's ACU",
    "AWS::RDS::DBSubnetGroup": "free",
    "AWS::S3::Bucket": "per GB",
    "AWS::S3::BucketPolicy": "free",
    "Custom::DjangoRelease": "a function's run",
    "Custom::GeneratedSecrets": "a function's run",
    "Custom::VariablesSnapshot": "a function's run",
}


def functions(template: Template) -> dict[str, dict[str, Any]]:
    """Return the functions' properties by the end of their names."""
    return {
        str(function["FunctionName"]).rpartition("mysite-")[2]: function
        for function in resources(template, "AWS::Lambda::Function")
        if "FunctionName" in function
    }


def statements(template: Template) -> list[dict[str, Any]]:
    """Return all statements of all policies."""
    return [
        statement
        for policy in resources(template, "AWS::IAM::Policy")
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def version_of(template: Template) -> str:
    """Return the logical id of the Django function's version; each id is a new version."""
    [name] = [
        name
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Version"
    ]
    return str(name)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_nothing_is_billed_by_the_hour_while_idle(template: Templates) -> None:
    kinds = {resource["Type"] for resource in template("default")["Resources"].values()}

    assert kinds <= FREE_WHILE_IDLE.keys()


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_outputs(template: Templates, name: str) -> None:
    outputs = template(name)["Outputs"]

    assert set(outputs) == {
        "SiteUrl",
        "FunctionName",
        "ProxyName",
        "BucketName",
        "DatabaseEndpoint",
        "SecretsPath",
        "Superuser",
        "AdminPath",
        "ReplacedSettings",
        *({"ScheduleNames"} if name in {"everything", "ephemeral"} else ()),
        *({"MailIdentity"} if name == "everything" else ()),
    }


def test_functions_are_named_after_environment_and_app(template: Templates) -> None:
    names = {function.get("FunctionName") for function in functions(template("default")).values()}

    assert names == {
        "dev-mysite-djambda-lambda",
        "dev-mysite-proxy",
        "dev-mysite-release",
        "dev-mysite-secrets",
    }


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_secret_is_in_the_template(template: Templates, name: str) -> None:
    whole = json.dumps(template(name))
    password = only(template(name), "AWS::RDS::DBCluster")["MasterUserPassword"]

    assert list(password) == ["Fn::GetAtt"]
    assert password["Fn::GetAtt"][1] == "DatabasePassword"
    assert "AWS::SecretsManager" not in whole
    assert "resolve:" not in whole
    for function in functions(template(name)).values():
        variables = function.get("Environment", {}).get("Variables", {})
        assert not [
            variable for variable in variables if "PASSWORD" in variable or "SECRET_KEY" in variable
        ]


@pytest.mark.parametrize(("name", "kept"), [("default", "true"), ("ephemeral", "false")])
def test_secrets_are_kept_as_long_as_the_data(template: Templates, name: str, kept: str) -> None:
    assert only(template(name), "Custom::GeneratedSecrets")["Keep"] == kept


class TestNetwork:
    def test_is_dual_stack_without_nat_and_public_addresses(self, template: Templates) -> None:
        routes = resources(template("default"), "AWS::EC2::Route")

        assert only(template("default"), "AWS::EC2::VPCCidrBlock")["AmazonProvidedIpv6CidrBlock"]
        assert all("EgressOnlyInternetGatewayId" in route for route in routes)
        assert {route["DestinationIpv6CidrBlock"] for route in routes} == {"::/0"}

    def test_zones_are_the_first_or_the_configured_ones(self, template: Templates) -> None:
        first, configured = (
            [subnet["AvailabilityZone"] for subnet in resources(template(name), "AWS::EC2::Subnet")]
            for name in ("default", "everything")
        )

        assert first[:2] == [{"Fn::Select": [zone, {"Fn::GetAZs": ""}]} for zone in (0, 1)]
        assert set(configured) == {"us-east-1b", "us-east-1d"}

    def test_s3_endpoint_is_dual_stack(self, template: Templates) -> None:
        endpoint = only(template("default"), "AWS::EC2::VPCEndpoint")

        assert endpoint["VpcEndpointType"] == "Gateway"
        assert endpoint["IpAddressType"] == "dualstack"
        assert endpoint["DnsOptions"] == {"DnsRecordIpType": "dualstack"}

    @pytest.mark.parametrize(
        ("name", "kind"),
        [("everything", "AWS::EC2::NatGateway"), ("ephemeral", "AWS::EC2::Instance")],
    )
    def test_egress_adds_one_nat_and_keeps_ipv6(
        self, template: Templates, name: str, kind: str
    ) -> None:
        routes = resources(template(name), "AWS::EC2::Route")

        assert len(resources(template(name), kind)) == 1
        assert [route for route in routes if "EgressOnlyInternetGatewayId" in route]
        assert [route for route in routes if {"NatGatewayId", "InstanceId"} & route.keys()]

    @pytest.mark.parametrize(
        ("name", "required"),
        [("default", "true"), ("everything", "false"), ("ephemeral", "false"), ("proxy", "true")],
    )
    def test_dual_stack_endpoints_are_required_only_without_ipv4(
        self, template: Templates, name: str, required: str
    ) -> None:
        django = functions(template(name))["djambda-lambda"]

        assert django["Environment"]["Variables"]["AWS_USE_DUALSTACK_ENDPOINT"] == required

    def test_nat_instance_forwards_only_for_the_functions(self, template: Templates) -> None:
        instance = only(template("ephemeral"), "AWS::EC2::Instance")
        [interface] = instance["NetworkInterfaces"]
        [rule] = [
            rule
            for rule in resources(template("ephemeral"), "AWS::EC2::SecurityGroupIngress")
            if rule["GroupId"] in interface["GroupSet"]
        ]
        django = functions(template("ephemeral"))["djambda-lambda"]

        assert instance["SourceDestCheck"] is False
        assert interface["AssociatePublicIpAddress"] is True
        assert rule["IpProtocol"] == "-1"
        assert rule["SourceSecurityGroupId"] == django["VpcConfig"]["SecurityGroupIds"][0]

    def test_changing_egress_keeps_all_subnets(self, template: Templates) -> None:
        without, with_nat = (
            {subnet["CidrBlock"] for subnet in resources(template(name), "AWS::EC2::Subnet")}
            for name in ("default", "everything")
        )

        assert without < with_nat

    def test_only_the_functions_can_connect_to_the_database(self, template: Templates) -> None:
        rule = only(template("default"), "AWS::EC2::SecurityGroupIngress")
        django = functions(template("default"))["djambda-lambda"]

        assert "CidrIp" not in rule
        assert rule["SourceSecurityGroupId"] == django["VpcConfig"]["SecurityGroupIds"][0]
        assert rule["FromPort"] == rule["ToPort"] == 5432
        for group in resources(template("default"), "AWS::EC2::SecurityGroup"):
            assert "SecurityGroupIngress" not in group


class TestDatabase:
    def test_pauses_at_zero(self, template: Templates) -> None:
        scaling = only(template("default"), "AWS::RDS::DBCluster")[
            "ServerlessV2ScalingConfiguration"
        ]

        assert scaling == {"MinCapacity": 0, "MaxCapacity": 1, "SecondsUntilAutoPause": 300}
        assert only(template("everything"), "AWS::RDS::DBCluster")[
            "ServerlessV2ScalingConfiguration"
        ] == {"MinCapacity": 0, "MaxCapacity": 8, "SecondsUntilAutoPause": 3600}

    def test_idle_sessions_end_and_tls_is_required(self, template: Templates) -> None:
        group = only(template("default"), "AWS::RDS::DBClusterParameterGroup")

        assert group["Parameters"] == {
            "rds.force_ssl": "1",
            "idle_session_timeout": "60000",
            "idle_in_transaction_session_timeout": "900000",
        }

    def test_has_the_version_of_the_local_cloud(self, template: Templates) -> None:
        cluster = only(template("default"), "AWS::RDS::DBCluster")
        package = json.loads((ROOT / "package.json").read_text())

        local = {
            version
            for name, version in package["optionalDependencies"].items()
            if name.startswith("@embedded-postgres/")
        }

        assert {".".join(version.split(".")[:2]) for version in local} == {cluster["EngineVersion"]}

    @pytest.mark.parametrize(
        ("name", "protected", "policy"),
        [("default", True, "Snapshot"), ("ephemeral", False, "Delete")],
    )
    def test_is_kept_unless_ephemeral(
        self, template: Templates, name: str, protected: bool, policy: str
    ) -> None:
        [cluster] = [
            resource
            for resource in template(name)["Resources"].values()
            if resource["Type"] == "AWS::RDS::DBCluster"
        ]

        assert cluster["Properties"]["DeletionProtection"] is protected
        assert cluster["Properties"]["StorageEncrypted"] is True
        assert cluster["DeletionPolicy"] == policy


class TestStorage:
    def test_only_static_files_and_public_media_are_public(self, template: Templates) -> None:
        policy = only(template("default"), "AWS::S3::BucketPolicy")["PolicyDocument"]
        public = [
            statement
            for statement in policy["Statement"]
            if statement["Effect"] == "Allow" and statement["Principal"] in ("*", {"AWS": "*"})
        ]

        assert [statement["Action"] for statement in public] == ["s3:GetObject"]
        [statement] = public
        assert "Condition" not in statement
        assert statement["Resource"] == [
            {"Fn::Join": ["", [{"Fn::GetAtt": ANY}, path]]} for path in ("/public/*", "/static/*")
        ]

    def test_bucket_allows_a_public_policy_but_no_acls(self, template: Templates) -> None:
        bucket = only(template("default"), "AWS::S3::Bucket")

        assert bucket["PublicAccessBlockConfiguration"] == {
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": False,
            "RestrictPublicBuckets": False,
        }

    def test_plain_http_is_denied(self, template: Templates) -> None:
        policy = only(template("default"), "AWS::S3::BucketPolicy")["PolicyDocument"]

        assert {"Bool": {"aws:SecureTransport": "false"}} in [
            statement.get("Condition") for statement in policy["Statement"]
        ]


class TestPermissions:
    @pytest.mark.parametrize("name", CONFIGURATIONS)
    def test_no_action_has_a_wildcard(self, template: Templates, name: str) -> None:
        actions = [
            action
            for statement in statements(template(name))
            for action in as_list(statement["Action"])
        ]

        assert actions
        assert [action for action in actions if "*" in action] == []

    @pytest.mark.parametrize("name", CONFIGURATIONS)
    def test_only_network_interface_actions_have_all_resources(
        self, template: Templates, name: str
    ) -> None:
        everywhere = [
            statement for statement in statements(template(name)) if statement["Resource"] == "*"
        ]
        allowed, denied = sorted(everywhere, key=lambda statement: str(statement["Effect"]))

        assert {action.partition(":")[0] for action in allowed["Action"]} == {"ec2"}
        assert (denied["Effect"], denied["Action"]) == ("Deny", allowed["Action"])
        [function] = denied["Condition"]["ArnEquals"].values()
        assert f"{CONFIGURATIONS[name].name}-djambda-lambda" in json.dumps(function)

    def test_proxy_invokes_the_alias_and_the_release_all_versions(
        self, template: Templates
    ) -> None:
        everything = template("default")["Resources"]
        [alias] = [
            n for n, resource in everything.items() if resource["Type"] == "AWS::Lambda::Alias"
        ]
        invoked = {
            name.partition("Role")[0]: statement["Resource"]["Fn::Join"][1][1]
            for name, policy in everything.items()
            if policy["Type"] == "AWS::IAM::Policy"
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
            if "lambda:InvokeFunction" in as_list(statement["Action"])
        }

        assert invoked == {"FrontDoor": ":live", "ReleaseReleaser": ":*"}
        proxy = functions(template("default"))["proxy"]
        assert proxy["Environment"]["Variables"] == {
            "FUNCTION_NAME": {"Ref": alias},
            "BLOCKED_PATHS": BLOCKED_PATHS,
        }

    @pytest.mark.parametrize(
        ("name", "origins"), [("everything", "https://app.example.com"), ("ephemeral", "*")]
    )
    def test_proxy_knows_the_origins_that_read_its_errors(
        self, template: Templates, name: str, origins: str
    ) -> None:
        proxy = functions(template(name))["proxy"]
        assert proxy["Environment"]["Variables"]["CORS_ORIGINS"] == origins


class TestFunctions:
    def test_sizes_come_from_the_configuration(self, template: Templates) -> None:
        django = functions(template("everything"))["djambda-lambda"]

        assert django["MemorySize"] == 2048
        assert django["Timeout"] == 60
        assert django["Architectures"] == ["arm64"]
        assert django["ReservedConcurrentExecutions"] == 20
        assert django["VpcConfig"]["Ipv6AllowedForDualStack"] is True

    @pytest.mark.parametrize(
        ("name", "runtime"),
        [("default", "python3.13"), ("everything", "python3.12"), ("ephemeral", "python3.14")],
    )
    def test_django_runs_on_the_python_of_the_project(
        self, template: Templates, name: str, runtime: str
    ) -> None:
        runtimes = {key: function["Runtime"] for key, function in functions(template(name)).items()}

        assert runtimes.pop("djambda-lambda") == runtime
        assert set(runtimes.values()) == {"python3.13"}
        [layer] = resources(template(name), "AWS::Lambda::LayerVersion")
        assert layer["CompatibleRuntimes"] == [runtime]

    @pytest.mark.parametrize(("name", "days"), [("default", 14), ("everything", 90)])
    def test_every_function_has_a_json_log_with_a_retention(
        self, template: Templates, name: str, days: int
    ) -> None:
        groups = resources(template(name), "AWS::Logs::LogGroup")

        assert {group["RetentionInDays"] for group in groups} == {days}
        for function in functions(template(name)).values():
            assert function["LoggingConfig"]["LogFormat"] == "JSON"
            assert "LogGroup" in function["LoggingConfig"]

    def test_variables_of_the_function_are_reserved(self, template: Templates) -> None:
        for name in ("default", "everything", "proxy"):
            function = functions(template(name))["djambda-lambda"]
            assert all(map(RESERVED.fullmatch, function["Environment"]["Variables"]))

    def test_names_of_the_project(self, template: Templates) -> None:
        names = {
            name: functions(template(name))["djambda-lambda"]["Environment"]["Variables"].get(
                "VARIABLE_NAMES"
            )
            for name in ("default", "everything")
        }

        assert names == {"default": None, "everything": "APP_KEY=SECRET_KEY DB=DATABASE_URL"}

    def test_environment_fits_into_lambdas_4_kb(self, template: Templates) -> None:
        variables = functions(template("everything"))["djambda-lambda"]["Environment"]

        assert len(json.dumps(variables)) < 3000

    @pytest.mark.parametrize(("name", "prefix"), [("default", "/prod"), ("everything", "")])
    def test_commands_know_the_stage_unless_there_is_a_domain(
        self, template: Templates, name: str, prefix: str
    ) -> None:
        variables = functions(template(name))["djambda-lambda"]["Environment"]["Variables"]

        assert variables["SITE_PREFIX"] == prefix

    def test_only_the_host_of_the_api_is_allowed(self, template: Templates) -> None:
        variables = functions(template("default"))["djambda-lambda"]["Environment"]["Variables"]

        api, *host = variables["ALLOWED_HOSTS"]["Fn::Join"][1]
        assert template("default")["Resources"][api["Ref"]]["Type"] == "AWS::ApiGateway::RestApi"
        assert host[0].startswith(".execute-api.")

    def test_custom_resources_are_not_retried(self, template: Templates) -> None:
        settings = resources(template("default"), "AWS::Lambda::EventInvokeConfig")

        assert settings
        assert {config["MaximumRetryAttempts"] for config in settings} == {0}


class TestRelease:
    def test_has_only_the_commands_that_the_project_lists(self, template: Templates) -> None:
        assert "Commands" not in only(template("default"), "Custom::DjangoRelease")
        assert only(template("everything"), "Custom::DjangoRelease")["Commands"] == [
            "createcachetable",
            "migrate --no-input",
        ]

    def test_alias_depends_on_the_release_and_the_release_on_its_resources(
        self, template: Templates
    ) -> None:
        everything = template("default")["Resources"]
        [alias] = [
            resource for resource in everything.values() if resource["Type"] == "AWS::Lambda::Alias"
        ]
        [name] = [
            name
            for name, resource in everything.items()
            if resource["Type"] == "Custom::DjangoRelease"
        ]
        [version] = [
            name
            for name, resource in everything.items()
            if resource["Type"] == "AWS::Lambda::Version"
        ]

        assert name in as_list(alias["DependsOn"])
        assert alias["Properties"]["FunctionVersion"]["Fn::GetAtt"][0] == version
        assert everything[name]["Properties"]["Version"]["Fn::GetAtt"][0] == version
        kinds = {
            everything[dependency]["Type"] for dependency in as_list(everything[name]["DependsOn"])
        }
        assert kinds >= {
            "AWS::EC2::Route",
            "AWS::EC2::VPCEndpoint",
            "AWS::IAM::Policy",
            "AWS::RDS::DBInstance",
            "AWS::S3::BucketPolicy",
        }

    def test_versions_are_kept_for_rolling_back(self, template: Templates) -> None:
        [version] = [
            resource
            for resource in template("default")["Resources"].values()
            if resource["Type"] == "AWS::Lambda::Version"
        ]

        assert version["DeletionPolicy"] == "RetainExceptOnCreate"


class TestApi:
    def test_is_regional_and_binary(self, template: Templates) -> None:
        api = only(template("default"), "AWS::ApiGateway::RestApi")
        stage = only(template("default"), "AWS::ApiGateway::Stage")

        assert api["EndpointConfiguration"] == {"IpAddressType": "dualstack", "Types": ["REGIONAL"]}
        assert api["BinaryMediaTypes"] == ["*/*"]
        assert stage["StageName"] == "prod"

    @pytest.mark.parametrize(
        ("name", "rate", "burst"), [("default", 100, 200), ("everything", 500, 1000)]
    )
    def test_throttles_all_methods(
        self, template: Templates, name: str, rate: int, burst: int
    ) -> None:
        stage = only(template(name), "AWS::ApiGateway::Stage")

        [settings] = stage["MethodSettings"]
        assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
        assert settings["ThrottlingRateLimit"] == rate
        assert settings["ThrottlingBurstLimit"] == burst

    @pytest.mark.parametrize(
        ("name", "headers"),
        [
            ("default", None),
            ("everything", {"Origin": "'https://app.example.com'", "Credentials": "'true'"}),
            ("ephemeral", {"Origin": "'*'"}),
        ],
    )
    def test_other_origins_read_the_gateways_errors(
        self, template: Templates, name: str, headers: dict[str, str] | None
    ) -> None:
        responses = resources(template(name), "AWS::ApiGateway::GatewayResponse")
        assert {
            response["ResponseType"]: response["ResponseParameters"] for response in responses
        } == (
            {
                kind: {
                    f"gatewayresponse.header.Access-Control-Allow-{header}": value
                    for header, value in headers.items()
                }
                for kind in ("DEFAULT_4XX", "DEFAULT_5XX")
            }
            if headers
            else {}
        )

    def test_several_origins_read_the_gateways_errors_without_cookies(self) -> None:
        api = apigateway.RestApi(Stack(), "Api", cloud_watch_role=False)
        api.root.add_method("ANY")
        share_errors(api, ("https://a.example", "https://b.example"))
        template = assertions.Template.from_stack(Stack.of(api))
        template.all_resources_properties(
            "AWS::ApiGateway::GatewayResponse",
            {
                "ResponseParameters": {
                    "gatewayresponse.header.Access-Control-Allow-Origin": "'*'",
                    "gatewayresponse.header.Access-Control-Allow-Credentials": (
                        assertions.Match.absent()
                    ),
                }
            },
        )

    def test_domain_has_certificate_and_records(self, template: Templates) -> None:
        everything = template("everything")

        assert only(everything, "AWS::CertificateManager::Certificate")["DomainName"] == (
            "www.example.com"
        )
        domain = only(everything, "AWS::ApiGateway::DomainName")
        assert domain["SecurityPolicy"] == "TLS_1_2"
        assert only(everything, "AWS::ApiGateway::RestApi")["DisableExecuteApiEndpoint"] is True
        assert domain["EndpointConfiguration"]["IpAddressType"] == "dualstack"
        records = resources(everything, "AWS::Route53::RecordSet")
        aliases = [record for record in records if "AliasTarget" in record]
        assert {(record["Name"], record["Type"]) for record in aliases} == {
            ("www.example.com.", "A"),
            ("www.example.com.", "AAAA"),
        }
        assert everything["Outputs"]["SiteUrl"]["Value"] == "https://www.example.com/"
        hosts = functions(everything)["djambda-lambda"]["Environment"]["Variables"]
        assert hosts["ALLOWED_HOSTS"] == "www.example.com"


def test_account_and_region_need_no_lookup(cloud_assembly: Callable[[str], Path]) -> None:
    manifest = json.loads((cloud_assembly("everything") / "manifest.json").read_text())

    assert manifest.get("missing", []) == []
    assert manifest["artifacts"]["prod-mysite"]["environment"] == ("aws://123456789012/us-east-1")


def test_same_input_gives_the_same_template(
    template: Templates, layer: Path, tmp_path: Path
) -> None:
    app = new_app(tmp_path)
    DjambdaStack(app, CONFIGURATIONS["default"], project=replace(PROJECT, layer=layer))
    app.synth()

    second = json.loads((tmp_path / "dev-mysite.template.json").read_text())
    assert second == template("default")


@pytest.mark.parametrize(
    ("changes", "publishes"),
    [
        ({}, False),
        ({"log_retention_days": 30}, False),
        ({"lambda_concurrency": 5}, False),
        ({"lambda_memory": 512}, True),
        ({"debug": True}, True),
        ({"django_superuser_username": "root"}, True),
    ],
)
def test_version_changes_with_the_function(
    template: Templates, layer: Path, tmp_path: Path, changes: dict[str, Any], publishes: bool
) -> None:
    app = new_app(tmp_path)
    DjambdaStack(
        app, replace(CONFIGURATIONS["default"], **changes), project=replace(PROJECT, layer=layer)
    )
    app.synth()

    changed = json.loads((tmp_path / "dev-mysite.template.json").read_text())
    assert (version_of(changed) != version_of(template("default"))) is publishes


def synthesize(layer: Path, folder: Path, variables: str) -> Template:
    """Return the template of a deploy with this snapshot of the variables."""
    app = new_app(folder)
    project = replace(PROJECT, layer=layer)
    DjambdaStack(app, CONFIGURATIONS["default"], project=project, variables=variables)
    app.synth()
    synthesized: Template = json.loads((folder / "dev-mysite.template.json").read_text())
    return synthesized


def test_variables_are_kept_for_the_version(
    template: Templates, layer: Path, tmp_path: Path
) -> None:
    changed = synthesize(layer, tmp_path, "abc")

    assert version_of(changed) != version_of(template("default"))
    function = functions(changed)["djambda-lambda"]
    assert function["Environment"]["Variables"]["VARIABLES_SNAPSHOT"] == "abc"
    snapshot = only(changed, "Custom::VariablesSnapshot")
    assert (snapshot["Path"], snapshot["Snapshot"]) == ("/djambda/dev/mysite", "abc")
    assert snapshot["FunctionName"] == function["FunctionName"]
    [dependencies] = [
        resource["DependsOn"]
        for resource in changed["Resources"].values()
        if resource.get("Properties", {}).get("FunctionName") == function["FunctionName"]
        and resource["Type"] == "AWS::Lambda::Function"
    ]
    types = {changed["Resources"][name]["Type"] for name in dependencies}
    assert "Custom::VariablesSnapshot" in types


def test_nothing_is_kept_without_variables(layer: Path, tmp_path: Path) -> None:
    template = synthesize(layer, tmp_path, "none")

    variables = functions(template)["djambda-lambda"]["Environment"]["Variables"]
    assert variables["VARIABLES_SNAPSHOT"] == "none"
    assert resources(template, "Custom::VariablesSnapshot") == []


def test_version_changes_with_the_layer(template: Templates, tmp_path: Path) -> None:
    (tmp_path / "layer" / "python").mkdir(parents=True)
    (tmp_path / "layer" / "python" / "dependency.py").write_text("answer = 43\n")
    app = new_app(tmp_path / "out")
    DjambdaStack(app, CONFIGURATIONS["default"], project=replace(PROJECT, layer=tmp_path / "layer"))
    app.synth()

    changed = json.loads((tmp_path / "out" / "dev-mysite.template.json").read_text())
    assert version_of(changed) != version_of(template("default"))


@pytest.mark.parametrize(("name", "protected"), [("default", True), ("ephemeral", False)])
def test_stack_is_protected_unless_ephemeral(
    cloud_assembly: Callable[[str], Path], name: str, protected: bool
) -> None:
    manifest = json.loads((cloud_assembly(name) / "manifest.json").read_text())
    stack = manifest["artifacts"][CONFIGURATIONS[name].name]

    assert stack["properties"].get("terminationProtection", False) is protected


def test_resources_are_tagged(template: Templates) -> None:
    tags = functions(template("default"))["djambda-lambda"]["Tags"]

    assert {tag["Key"]: tag["Value"] for tag in tags} == {
        "Project": "djambda",
        "App": "mysite",
        "Environment": "dev",
    }

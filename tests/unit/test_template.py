"""The template, held to what operators and other tools rely on."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import boto3
import pytest
from cfnlint.decode.cfn_yaml import load  # type: ignore[import-untyped]

from core.model import Record

ROOT = Path(__file__).resolve().parents[2]

PARAMETERS = {
    "Environment": "dev",
    "GoProApiUrl": "https://api.gopro.com",
    "MaxConcurrency": 5,
    "ScheduleExpression": "cron(0 2 * * ? *)",
    "ScheduleTimezone": "Europe/Berlin",
    "VerifyScheduleExpression": "cron(0 8 ? * SUN *)",
    "CredentialsCheckExpression": "cron(0 20 * * ? *)",
    "ScheduleState": "ENABLED",
    "AlertEmail": "",
    "WebhookSecretArn": "",
    "MonthlyCostLimit": 25,
    "ArchiveAfterDays": 7,
    "FailureTolerancePercent": 100,
    "LogRetentionDays": 30,
    "VpcSubnetIds": "",
    "VpcSecurityGroupIds": "",
}

OUTPUTS = {
    "StateMachineArn": {"Ref": "SyncStateMachine"},
    "StateMachineConsoleUrl": None,
    "ScheduleName": {"Ref": "SyncSchedule"},
    "VerifyStateMachineArn": {"Ref": "VerifyStateMachine"},
    "VerifyScheduleName": {"Ref": "VerifySchedule"},
    "SyncTrackerTableName": {"Ref": "SyncTracker"},
    "ArchiveBucketName": {"Ref": "ArchiveBucket"},
    "CredentialsSecretArn": {"Fn::GetAtt": ["CredentialsSecret", "Id"]},
    "AlertTopicArn": {"Ref": "AlertTopic"},
    "AlarmTopicArn": {"Ref": "AlarmTopic"},
    "DashboardUrl": None,
}

FUNCTIONS = {
    "AuthenticateFunction": "handlers.authenticate.handler",
    "PlanFunction": "handlers.plan.handler",
    "TransferFunction": "handlers.transfer.handler",
    "MarkFailedFunction": "handlers.mark_failed.handler",
    "SummarizeFunction": "handlers.summarize.handler",
    "VerifyFunction": "handlers.verify.handler",
    "CheckCredentialsFunction": "handlers.check_credentials.handler",
    "WebhookFunction": "handlers.webhook.handler",
}

#: The roles that no function takes, and who takes them.
SERVICES = {
    "StateMachineRole": "states.amazonaws.com",
    "VerifyStateMachineRole": "states.amazonaws.com",
    "ScheduleRole": "scheduler.amazonaws.com",
    "VerifyScheduleRole": "scheduler.amazonaws.com",
    "CredentialsScheduleRole": "scheduler.amazonaws.com",
}

ROLES = {name.replace("Function", "Role") for name in FUNCTIONS} | set(SERVICES)

#: What AWS offers no narrower resource for.
ONLY_WITHOUT_RESOURCE = {
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
}

ALL_CONDITIONS = frozenset({"IsProd", "HasEmail", "HasWebhook", "StaysInStandard", "InVpc", "HasCustomerKey"})
NO_VALUE = {"Ref": "AWS::NoValue"}


@cache
def _template() -> Any:
    return json.loads(json.dumps(load(str(ROOT / "template.yaml"))))


def template(conditions: frozenset[str] = ALL_CONDITIONS) -> Any:
    """The template as it is where exactly these conditions are true."""
    return decided(_template(), conditions)


def decided(node: Any, conditions: frozenset[str]) -> Any:
    if isinstance(node, dict) and set(node) == {"Fn::If"}:
        name, yes, no = node["Fn::If"]
        return decided(yes if name in conditions else no, conditions)
    if isinstance(node, dict):
        chosen = {key: decided(value, conditions) for key, value in node.items()}
        return {key: value for key, value in chosen.items() if value != NO_VALUE}
    if isinstance(node, list):
        return [one for one in (decided(item, conditions) for item in node) if one != NO_VALUE]
    return node


def resource(name: str, conditions: frozenset[str] = ALL_CONDITIONS) -> Any:
    return template(conditions)["Resources"][name]


def properties(name: str, conditions: frozenset[str] = ALL_CONDITIONS) -> Any:
    return resource(name, conditions)["Properties"]


def of_type(kind: str) -> dict[str, Any]:
    return {name: one["Properties"] for name, one in template()["Resources"].items() if one["Type"] == kind}


def function(name: str) -> dict[str, Any]:
    """The properties of a function, those that hold for all functions included."""
    shared, own = template()["Globals"]["Function"], properties(name)
    variables = shared["Environment"]["Variables"] | own["Environment"]["Variables"]
    return {**shared, **own, "Environment": {"Variables": variables}}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(role: str) -> Iterator[dict[str, Any]]:
    for policy in properties(role)["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def actions(role: str) -> set[str]:
    return set(chain.from_iterable(as_list(statement["Action"]) for statement in statements(role)))


def lifecycle(conditions: frozenset[str] = ALL_CONDITIONS) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = properties("ArchiveBucket", conditions)["LifecycleConfiguration"]["Rules"]
    return rules


# ------------------------------------------------------------------ parameters and outputs
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_has_the_default_that_is_documented(name: str) -> None:
    assert template()["Parameters"][name]["Default"] == PARAMETERS[name]


def test_a_stack_can_be_deployed_without_giving_any_parameter() -> None:
    assert [name for name, parameter in template()["Parameters"].items() if "Default" not in parameter] == []


def test_the_environment_is_dev_staging_or_prod() -> None:
    assert template()["Parameters"]["Environment"]["AllowedValues"] == ["dev", "staging", "prod"]


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_stack_tells(name: str) -> None:
    value = template()["Outputs"][name]["Value"]
    assert value == OUTPUTS[name] if OUTPUTS[name] else "${AWS::Region}.console.aws.amazon.com/" in value["Fn::Sub"]


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("https://api.gopro.com", True),
        ("https://api.gopro.com/v2", True),
        ("http://127.0.0.1:8080", True),
        ("http://127.1.2.3", True),
        ("http://localhost:1", True),
        ("http://[::1]:80", True),
        ("http://api.gopro.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://localhost.example.com", False),
        ("http://localhost@example.com", False),
        ("http://127.0.0.1:80@example.com", False),
        ("https://user:password@api.gopro.com", False),
        ("https://api.gopro.com/v2?x=1", False),
        ("ftp://api.gopro.com", False),
        ("api.gopro.com", False),
        ("", False),
    ],
)
def test_the_address_of_the_api_is_https_or_loopback(url: str, accepted: bool) -> None:
    pattern = template()["Parameters"]["GoProApiUrl"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, url)) is accepted


@pytest.mark.parametrize(
    ("address", "accepted"),
    [("", True), ("you@example.com", True), ("you", False), ("a@b@c", False), ("you @example.com", False)],
)
def test_the_alert_email_is_empty_or_an_address(address: str, accepted: bool) -> None:
    assert bool(re.fullmatch(template()["Parameters"]["AlertEmail"]["AllowedPattern"], address)) is accepted


def test_without_an_emulated_aws_the_functions_talk_to_aws_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert function("PlanFunction")["Environment"]["Variables"]["AWS_ENDPOINT_URL"] == {"Ref": "AwsEndpointUrl"}
    monkeypatch.setenv("AWS_ENDPOINT_URL", template()["Parameters"]["AwsEndpointUrl"]["Default"])
    client = boto3.client("dynamodb", region_name="eu-central-1")
    assert client.meta.endpoint_url == "https://dynamodb.eu-central-1.amazonaws.com"


# ------------------------------------------------------------------------------- storage
@pytest.mark.parametrize(
    "name", ["EncryptionKey", "ArchiveBucket", "AccessLogBucket", "SyncTracker", "CredentialsSecret"]
)
def test_nothing_that_holds_data_goes_with_the_stack(name: str) -> None:
    found = resource(name)
    assert (found["DeletionPolicy"], found["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_every_resource_that_holds_data_is_retained() -> None:
    holding = {"AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::SecretsManager::Secret"}
    for name, found in template()["Resources"].items():
        assert (found.get("DeletionPolicy") == "Retain") is (found["Type"] in holding), name


@pytest.mark.parametrize("name", ["ArchiveBucket", "AccessLogBucket"])
def test_a_bucket_keeps_versions_and_is_never_public(name: str) -> None:
    bucket = properties(name)
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert bucket["PublicAccessBlockConfiguration"] == dict.fromkeys(
        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
    )


def test_the_archive_is_encrypted_with_the_stacks_key_and_a_bucket_key() -> None:
    assert archive_encryption(ALL_CONDITIONS) == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": {"Fn::GetAtt": ["EncryptionKey", "Arn"]},
    }


def archive_encryption(conditions: frozenset[str]) -> Any:
    (rule,) = properties("ArchiveBucket", conditions)["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"] is True
    return rule["ServerSideEncryptionByDefault"]


def test_without_a_key_of_the_owner_all_is_encrypted_with_keys_of_aws() -> None:
    without = ALL_CONDITIONS - {"HasCustomerKey"}
    keys = {name for name, one in template(without)["Resources"].items() if one.get("Condition") == "HasCustomerKey"}
    assert keys == {"EncryptionKey", "EncryptionKeyAlias"}
    others = {name: one for name, one in template(without)["Resources"].items() if name not in keys}
    assert "EncryptionKey" not in json.dumps(others)
    assert archive_encryption(without) == {"SSEAlgorithm": "aws:kms"}
    assert properties("ScheduleDeadLetters", without)["SqsManagedSseEnabled"] is True
    assert template()["Parameters"]["CustomerKey"]["Default"] == "false"


def test_the_key_rotates_and_dies_slowly() -> None:
    key = properties("EncryptionKey")
    assert key["EnableKeyRotation"] is True
    assert key["PendingWindowInDays"] == 30


def test_accesses_of_the_archive_are_logged_into_another_bucket() -> None:
    logging = properties("ArchiveBucket")["LoggingConfiguration"]
    assert logging["DestinationBucketName"] == {"Ref": "AccessLogBucket"}
    delivery = next(s for s in _bucket_policy("AccessLogBucketPolicy") if s["Effect"] == "Allow")
    assert delivery["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert delivery["Action"] == "s3:PutObject"
    assert delivery["Resource"]["Fn::Sub"] == f"${{AccessLogBucket.Arn}}/{logging['LogFilePrefix']}*"


@pytest.mark.parametrize("bucket", ["ArchiveBucket", "AccessLogBucket"])
def test_a_bucket_can_be_reached_over_tls_alone(bucket: str) -> None:
    assert properties(f"{bucket}Policy")["Bucket"] == {"Ref": bucket}
    denial = next(s for s in _bucket_policy(f"{bucket}Policy") if s["Effect"] == "Deny")
    assert (denial["Principal"], denial["Action"]) == ("*", "s3:*")
    assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert denial["Resource"] == [{"Fn::GetAtt": [bucket, "Arn"]}, {"Fn::Sub": f"${{{bucket}.Arn}}/*"}]


def _bucket_policy(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = properties(name)["PolicyDocument"]["Statement"]
    return found


def test_uploads_that_were_never_completed_are_thrown_away_after_a_week() -> None:
    (rule,) = [rule for rule in lifecycle() if "AbortIncompleteMultipartUpload" in rule]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert (rule["Status"], rule.get("Prefix", "")) == ("Enabled", "")


def test_originals_and_nothing_else_go_to_deep_archive() -> None:
    (rule,) = [rule for rule in lifecycle() if "Transitions" in rule or "NoncurrentVersionTransitions" in rule]
    assert (rule["Status"], rule["Prefix"]) == ("Enabled", "gopro-videos/")
    moved = {"StorageClass": "DEEP_ARCHIVE", "TransitionInDays": {"Ref": "ArchiveAfterDays"}}
    assert rule["Transitions"] == rule["NoncurrentVersionTransitions"] == [moved]


def test_with_zero_days_what_came_before_is_moved_too() -> None:
    assert template()["Conditions"]["StaysInStandard"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "ArchiveAfterDays"}, 0]}]
    }
    (rule,) = [rule for rule in lifecycle(ALL_CONDITIONS - {"StaysInStandard"}) if "Transitions" in rule]
    moved = {"StorageClass": "DEEP_ARCHIVE", "TransitionInDays": 1}
    assert rule["Transitions"] == rule["NoncurrentVersionTransitions"] == [moved]
    assert function("TransferFunction")["Environment"]["Variables"]["ARCHIVE_AFTER_DAYS"] == {"Ref": "ArchiveAfterDays"}


def test_no_rule_ever_deletes_an_original_or_a_catalog_entry() -> None:
    for rule in lifecycle():
        if "ExpirationInDays" in rule:
            assert rule["Prefix"] == "runs/"
        if "NoncurrentVersionExpiration" in rule:
            assert rule["Prefix"] in ("runs/", "catalog/", "gallery/", "thumbnails/")


def test_the_tracker_is_billed_on_demand_encrypted_and_can_be_restored_to_any_second() -> None:
    table = properties("SyncTracker")
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": {"Fn::GetAtt": ["EncryptionKey", "Arn"]},
    }


def test_a_record_of_a_medium_never_expires() -> None:
    told = properties("SyncTracker")["TimeToLiveSpecification"]
    assert told["Enabled"] is True
    assert told["AttributeName"] not in {field.name for field in fields(Record)}


def test_the_tracker_is_protected_from_deletion_in_prod_alone() -> None:
    assert template()["Conditions"]["IsProd"] == {"Fn::Equals": [{"Ref": "Environment"}, "prod"]}
    assert properties("SyncTracker", frozenset({"IsProd"}))["DeletionProtectionEnabled"] is True
    assert properties("SyncTracker", frozenset())["DeletionProtectionEnabled"] is False


def test_a_new_secret_holds_a_placeholder_under_the_stacks_key() -> None:
    secret = properties("CredentialsSecret")
    assert secret["KmsKeyId"] == {"Fn::GetAtt": ["EncryptionKey", "Arn"]}
    document = json.loads(secret["SecretString"])
    assert document.pop("last_updated") == "1970-01-01T00:00:00Z"
    assert document == {"gp_access_token": "REPLACE_ME", "gp_user_id": "REPLACE_ME"}


# ----------------------------------------------------------------------------- functions
def test_there_is_one_function_for_each_handler_module() -> None:
    handlers = {path.stem for path in (ROOT / "handlers").glob("[!_]*.py")}
    found = {name: one["Handler"] for name, one in of_type("AWS::Serverless::Function").items()}
    assert found == FUNCTIONS
    assert {handler.split(".")[1] for handler in found.values()} == handlers


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_runs_python_3_13_on_arm64_and_is_traced(name: str) -> None:
    found = function(name)
    assert (found["Runtime"], found["Tracing"]) == ("python3.13", "Active")
    assert found["Architectures"] == [{"Ref": "Architecture"}]
    assert template()["Parameters"]["Architecture"]["Default"] == "arm64"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_a_role_of_its_own(name: str) -> None:
    own = {"Fn::GetAtt": [name.replace("Function", "Role"), "Arn"]}
    assert function(name)["Role"] == own
    assert [other for other in FUNCTIONS if function(other)["Role"] == own] == [name]
    assert "Policies" not in function(name)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_writes_into_its_own_log_group_and_into_no_other(name: str) -> None:
    group = name.replace("Function", "Logs")
    assert properties(group)["LogGroupName"]["Fn::Sub"] == f"/aws/lambda/{function(name)['FunctionName']['Fn::Sub']}"
    assert resource(name)["DependsOn"] == group
    writing = [s for s in statements(name.replace("Function", "Role")) if "logs:PutLogEvents" in as_list(s["Action"])]
    assert [statement["Resource"] for statement in writing] == [{"Fn::GetAtt": [group, "Arn"]}]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_joins_the_vpc_when_there_is_one(name: str) -> None:
    assert function(name)["VpcConfig"] == {
        "SubnetIds": {"Ref": "VpcSubnetIds"},
        "SecurityGroupIds": {"Ref": "VpcSecurityGroupIds"},
    }
    role = name.replace("Function", "Role")
    assert "ec2:CreateNetworkInterface" in actions(role)
    outside = ALL_CONDITIONS - {"InVpc"}
    assert "VpcConfig" not in template(outside)["Globals"]["Function"]
    assert "ec2:" not in json.dumps(properties(role, outside))


def test_every_log_group_is_encrypted_and_forgets() -> None:
    groups = of_type("AWS::Logs::LogGroup")
    of_machines = {"StateMachineLogs", "VerifyStateMachineLogs"}
    assert set(groups) == {name.replace("Function", "Logs") for name in FUNCTIONS} | of_machines
    for group in groups.values():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        assert group["KmsKeyId"] == {"Fn::GetAtt": ["EncryptionKey", "Arn"]}


@pytest.mark.parametrize(
    ("machine", "role"), [("SyncStateMachine", "StateMachineRole"), ("VerifyStateMachine", "VerifyStateMachineRole")]
)
def test_a_workflow_logs_no_data_and_is_traced(machine: str, role: str) -> None:
    workflow = properties(machine)
    assert workflow["Logging"]["IncludeExecutionData"] is False
    assert workflow["Tracing"] == {"Enabled": True}
    assert workflow["Role"] == {"Fn::GetAtt": [role, "Arn"]}


# --------------------------------------------------------------------------------- roles
def test_these_are_all_the_roles_there_are() -> None:
    assert set(of_type("AWS::IAM::Role")) == ROLES
    assert not [name for name in of_type("AWS::IAM::Role") if "ManagedPolicyArns" in properties(name)]


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_names_every_action_that_it_allows(role: str) -> None:
    for statement in statements(role):
        assert statement["Effect"] == "Allow"
        assert "NotAction" not in statement
        assert "NotResource" not in statement
    assert not [action for action in actions(role) if "*" in action]


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_names_the_resources_of_its_actions_wherever_aws_can_tell_them_apart(role: str) -> None:
    for statement in statements(role):
        resources, allowed = as_list(statement["Resource"]), set(as_list(statement["Action"]))
        if "*" in resources:
            assert allowed <= ONLY_WITHOUT_RESOURCE, statement["Sid"]
        else:
            assert not allowed & ONLY_WITHOUT_RESOURCE, statement["Sid"]
        for one in resources:
            text = one if isinstance(one, str) else json.dumps(one)
            of_this_stack = re.search(r'\$\{(AWS::StackName|\w+\.Arn)\}|"Fn::GetAtt"|"Ref"', text)
            assert text == "*" or of_this_stack, f"{statement['Sid']} names {text}"


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_uses_the_key_through_other_services_alone(role: str) -> None:
    for statement in statements(role):
        if any(action.startswith("kms:") for action in as_list(statement["Action"])):
            assert statement["Resource"] == {"Fn::GetAtt": ["EncryptionKey", "Arn"]}
            assert set(as_list(statement["Action"])) == {"kms:Decrypt", "kms:GenerateDataKey"}
            assert statement["Condition"]["StringEquals"]["kms:ViaService"]


def test_nobody_can_delete_what_is_archived() -> None:
    for role in ROLES:
        deleting = {action for action in actions(role) if re.search(r"Delete|Purge|Lifecycle|BucketPolicy", action)}
        assert deleting <= {"dynamodb:DeleteItem", "ec2:DeleteNetworkInterface", "logs:DeleteLogDelivery"}


def test_only_the_steps_that_talk_to_the_provider_can_read_its_credentials() -> None:
    readers = {
        role: statement["Resource"]
        for role in ROLES
        for statement in statements(role)
        if "secretsmanager:GetSecretValue" in as_list(statement["Action"])
    }
    assert readers.pop("WebhookRole") == {"Ref": "WebhookSecretArn"}
    assert set(readers) == {"AuthenticateRole", "PlanRole", "TransferRole", "CheckCredentialsRole"}


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_can_be_taken_by_its_own_service_alone(role: str) -> None:
    (trust,) = properties(role)["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": SERVICES.get(role, "lambda.amazonaws.com")}


# ---------------------------------------------------------------------- schedule, alerts
def test_the_schedule_keeps_local_time_and_what_could_not_start() -> None:
    schedule = properties("SyncSchedule")
    for name in ("ScheduleExpression", "ScheduleExpressionTimezone", "State"):
        parameter = {"ScheduleExpressionTimezone": "ScheduleTimezone", "State": "ScheduleState"}.get(name, name)
        assert schedule[name] == {"Ref": parameter}
    target = schedule["Target"]
    assert target["Arn"] == {"Ref": "SyncStateMachine"}
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["ScheduleDeadLetters", "Arn"]}}
    assert properties("ScheduleDeadLetters")["KmsMasterKeyId"] == {"Ref": "EncryptionKey"}
    assert json.loads(target["Input"]) == {"provider": "gopro"}


def test_the_archive_is_verified_and_mended_once_a_week() -> None:
    schedule = properties("VerifySchedule")
    assert schedule["ScheduleExpression"] == {"Ref": "VerifyScheduleExpression"}
    assert schedule["ScheduleExpressionTimezone"] == {"Ref": "ScheduleTimezone"}
    assert schedule["State"] == {"Ref": "ScheduleState"}
    target = schedule["Target"]
    assert (target["Arn"], target["RoleArn"]) == (
        {"Ref": "VerifyStateMachine"},
        {"Fn::GetAtt": ["VerifyScheduleRole", "Arn"]},
    )
    assert target["DeadLetterConfig"] == properties("SyncSchedule")["Target"]["DeadLetterConfig"]
    assert json.loads(target["Input"]) == {"provider": "gopro", "repair": True}


def test_a_verification_can_neither_write_an_original_nor_delete_anything() -> None:
    for statement in statements("VerifyRole"):
        if "-videos/" in json.dumps(statement["Resource"]):
            assert statement["Action"] == ["s3:GetObject", "s3:AbortMultipartUpload"]
    assert not [action for action in actions("VerifyRole") if "Delete" in action and not action.startswith("ec2:")]


def test_the_credentials_are_checked_in_the_evening_with_a_warning_and_each_hour_without() -> None:
    evening, hourly = properties("CredentialsCheckSchedule"), properties("CredentialsWatchSchedule")
    assert evening["ScheduleExpression"] == {"Ref": "CredentialsCheckExpression"}
    assert evening["ScheduleExpressionTimezone"] == {"Ref": "ScheduleTimezone"}
    assert hourly["ScheduleExpression"] == "rate(1 hour)"
    for schedule, hours_ahead in ((evening, 8), (hourly, None)):
        target = schedule["Target"]
        assert schedule["State"] == {"Ref": "ScheduleState"}
        assert target["Arn"] == {"Fn::GetAtt": ["CheckCredentialsFunction", "Arn"]}
        assert target["RoleArn"] == {"Fn::GetAtt": ["CredentialsScheduleRole", "Arn"]}
        assert target["DeadLetterConfig"] == properties("SyncSchedule")["Target"]["DeadLetterConfig"]
        assert json.loads(target["Input"]) == {"provider": "gopro", "hours_ahead": hours_ahead}


def test_the_evening_s_check_looks_as_far_ahead_as_the_next_sync() -> None:
    parameters = template()["Parameters"]
    (checked_at, synced_at) = (
        int(parameters[name]["Default"].split()[1]) for name in ("CredentialsCheckExpression", "ScheduleExpression")
    )
    ahead = json.loads(properties("CredentialsCheckSchedule")["Target"]["Input"])["hours_ahead"]
    assert (synced_at - checked_at) % 24 < ahead


def test_an_email_address_is_subscribed_when_there_is_one() -> None:
    subscription = resource("AlertEmailSubscription")
    assert subscription["Condition"] == "HasEmail"
    assert subscription["Properties"]["Endpoint"] == {"Ref": "AlertEmail"}
    assert subscription["Properties"]["Protocol"] == "email"


def test_a_chat_is_subscribed_when_there_is_the_secret_of_its_webhook() -> None:
    names = ("WebhookFunction", "WebhookRole", "WebhookLogs")
    assert {resource(name)["Condition"] for name in names} == {"HasWebhook"}
    condition = {"Fn::Not": [{"Fn::Equals": [{"Ref": "WebhookSecretArn"}, ""]}]}
    assert template()["Conditions"]["HasWebhook"] == condition
    subscribed = {"Type": "SNS", "Properties": {"Topic": {"Ref": "AlertTopic"}}}
    assert properties("WebhookFunction")["Events"] == {"Alerts": subscribed}


@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        ("", True),
        ("arn:aws:secretsmanager:eu-central-1:123456789012:secret:chat-AbCdEf", True),
        ("arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:a/chat-AbCdEf", True),
        ("https://hooks.slack.com/services/T0/B0/x", False),
        ("arn:aws:secretsmanager:eu-central-1:123456789012:secret:*", False),
        ("arn:aws:sns:eu-central-1:123456789012:topic", False),
    ],
)
def test_the_secret_of_a_webhook_is_told_by_its_arn_and_an_address_is_refused(given: str, accepted: bool) -> None:
    pattern = template()["Parameters"]["WebhookSecretArn"]["AllowedPattern"]
    assert bool(re.search(pattern, given)) is accepted


def test_alerts_are_encrypted_and_sent_over_tls_alone() -> None:
    assert properties("AlertTopic")["KmsMasterKeyId"] == {"Ref": "EncryptionKey"}
    denial = properties("AlertTopicPolicy")["PolicyDocument"]["Statement"][0]
    assert (denial["Effect"], denial["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


# ------------------------------------------------------------------------- configuration
@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_each_environment_can_be_built_and_deployed_by_its_name(environment: str) -> None:
    configuration = tomllib.loads((ROOT / "samconfig.toml").read_text())[environment]
    assert configuration["build"]["parameters"]["build_in_source"] is True
    deploy = configuration["deploy"]["parameters"]
    assert deploy["stack_name"] == f"cloud-sync-{environment}"
    assert deploy["parameter_overrides"] == f"Environment={environment}"
    assert deploy["capabilities"] == "CAPABILITY_IAM"
    assert deploy["resolve_s3"] is True


def test_a_change_of_prod_is_shown_before_it_is_made() -> None:
    configuration = tomllib.loads((ROOT / "samconfig.toml").read_text())
    asked = [name for name, one in configuration.items() if name != "version" and asks_first(one)]
    assert asked == ["prod"]


def asks_first(configuration: dict[str, Any]) -> bool:
    return bool(configuration.get("deploy", {}).get("parameters", {}).get("confirm_changeset"))

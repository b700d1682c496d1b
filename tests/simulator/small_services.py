"""Services that a deployment only glances at: one or two read operations each."""

from __future__ import annotations

from datetime import timedelta

from .ask import Ask, Tree, page_by, present
from .calls import SimulatedError
from .core import Core

_REASONS = {
    "OK": "Threshold Crossed: 1 datapoint [0.1] was not greater than the threshold (5.0).",
    "ALARM": "Threshold Crossed: 1 datapoint [9.0] was greater than the threshold (5.0).",
    "INSUFFICIENT_DATA": "Unchecked: Initial alarm creation",
}

_GITHUB = "token.actions.githubusercontent.com"

_VERSION = "01234567-89ab-cdef-0123-456789abcdef"

CALLER_ROLE = "deploy"
"""The role that the program under test acts as."""


class Sts:
    """Who the caller is, and becoming somebody else."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def get_caller_identity(self, ask: Ask) -> Tree:
        return {
            "UserId": "AROASIMULATED:session",
            "Account": ask.state.account,
            "Arn": f"arn:aws:sts::{ask.state.account}:assumed-role/{CALLER_ROLE}/session",
        }

    def assume_role_with_web_identity(self, ask: Ask) -> Tree:
        arn, session = ask.params["RoleArn"], ask.params["RoleSessionName"]
        role = arn.rpartition("role/")[2]
        if ask.state.roles.get(role) != _GITHUB:
            raise SimulatedError(
                "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403
            )
        lifetime = timedelta(seconds=ask.params.get("DurationSeconds", 3600))
        return {
            "Credentials": {
                "AccessKeyId": "ASIASIMULATED0000001",
                "SecretAccessKey": self._core.names.hexadecimal(40),
                "SessionToken": self._core.names.hexadecimal(64),
                "Expiration": ask.now + lifetime,
            },
            "SubjectFromWebIdentityToken": "repo:octo/web:ref:refs/heads/main",
            "AssumedRoleUser": {
                "AssumedRoleId": f"AROASIMULATED:{session}",
                "Arn": f"arn:aws:sts::{ask.state.account}:assumed-role/{role}/{session}",
            },
            "Provider": f"arn:aws:iam::{ask.state.account}:oidc-provider/{_GITHUB}",
            "Audience": "sts.amazonaws.com",
        }


class CloudWatch:
    """Alarms and the state they are in."""

    def describe_alarms(self, ask: Ask) -> Tree:
        names = ask.params.get("AlarmNames", list(ask.state.alarms))
        if len(names) > 100:
            raise SimulatedError("ValidationError", "AlarmNames: 100 at most.")
        wanted = ask.params.get("StateValue")
        alarms = [
            {
                "AlarmName": name,
                "AlarmArn": ask.state.arn("cloudwatch", f"alarm:{name}"),
                "StateValue": ask.state.alarms[name],
                "StateReason": _REASONS.get(ask.state.alarms[name], ""),
                "StateUpdatedTimestamp": ask.now,
            }
            for name in names
            if name in ask.state.alarms and wanted in (None, ask.state.alarms[name])
        ]
        # Composite alarms are only shown to who asks for them.
        kinds = ask.params.get("AlarmTypes", ["MetricAlarm"])
        composite = ask.state.composite_alarms
        shown = [
            each
            for each in alarms
            if ("CompositeAlarm" if each["AlarmName"] in composite else "MetricAlarm") in kinds
        ]
        answer = page_by(ask, "Alarms", shown, "NextToken", "NextToken", "MaxRecords", 100)
        page = answer.pop("Alarms", [])
        return answer | {
            "MetricAlarms": [each for each in page if each["AlarmName"] not in composite],
            "CompositeAlarms": [each for each in page if each["AlarmName"] in composite],
        }


class Iam:
    """Roles, and what the caller may do."""

    def get_role(self, ask: Ask) -> Tree:
        name = ask.params["RoleName"]
        if name not in ask.state.roles:
            raise SimulatedError("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
        policy = (
            '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
            f'"Principal":{{"Service":"{ask.state.roles[name]}"}}}}]}}'
        )
        return {
            "Role": {
                "Path": "/",
                "RoleName": name,
                "RoleId": "AROASIMULATED0000001",
                "Arn": f"arn:aws:iam::{ask.state.account}:role/{name}",
                "CreateDate": ask.now,
                "AssumeRolePolicyDocument": policy,
            }
        }

    def simulate_principal_policy(self, ask: Ask) -> Tree:
        results = [
            {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": "implicitDeny" if action in ask.state.denied else "allowed",
            }
            for action in ask.params["ActionNames"]
            for resource in ask.params.get("ResourceArns", ["*"])
        ]
        return {"EvaluationResults": results, "IsTruncated": False}


class SecretsManager:
    """Whether a secret exists."""

    def describe_secret(self, ask: Ask) -> Tree:
        wanted = ask.params["SecretId"]
        for arn, deleted in ask.state.secrets.items():
            name = arn.rpartition(":")[2].rpartition("-")[0]
            if wanted in (arn, name):
                has_value = arn in ask.state.secret_values
                versions = {_VERSION: ["AWSCURRENT"]} if has_value else None
                return present(ARN=arn, Name=name, DeletedDate=deleted, VersionIdsToStages=versions)
        raise SimulatedError(
            "ResourceNotFoundException", "Secrets Manager can't find the specified secret."
        )

    def get_secret_value(self, ask: Ask) -> Tree:
        found = self.describe_secret(ask)
        if "DeletedDate" in found:
            raise SimulatedError("InvalidRequestException", "It was marked for deletion.")
        value = ask.state.secret_values.get(found["ARN"])
        if value is None or ask.params.get("VersionStage", "AWSCURRENT") != "AWSCURRENT":
            raise SimulatedError(
                "ResourceNotFoundException",
                "Secrets Manager can't find the specified secret value for staging label.",
            )
        return {"ARN": found["ARN"], "Name": found["Name"], "SecretString": value}


class Sns:
    """Topics, and what was published to them."""

    def publish(self, ask: Ask) -> Tree:
        arn = ask.params["TopicArn"]
        if arn not in ask.state.topics:
            raise SimulatedError("NotFound", "Topic does not exist", 404)
        subject = ask.params.get("Subject", "")
        if len(subject) > 100 or not subject.isascii() or "\n" in subject:
            raise SimulatedError("InvalidParameter", "Invalid parameter: Subject")
        ask.state.topics[arn].append((subject, ask.params["Message"]))
        return {"MessageId": _VERSION}


class Ssm:
    """Parameters by name; ARNs work as names do."""

    def get_parameters(self, ask: Ask) -> Tree:
        found, invalid = [], []
        for name in ask.params["Names"]:
            path = name.partition(":parameter")[2] or name
            # The ARN of `name` and that of `/name` are the same.
            key = path if path in ask.state.parameters else path.lstrip("/")
            if key in ask.state.parameters:
                arn = ask.state.arn("ssm", f"parameter/{key.lstrip('/')}")
                found.append(
                    {
                        "Name": key,
                        "ARN": arn,
                        "Type": "SecureString",
                        "Version": 1,
                        "Value": ask.state.parameters[key],
                    }
                )
            else:
                invalid.append(name)
        return present(Parameters=found or None, InvalidParameters=invalid or None)


class S3:
    """Whether an object exists."""

    def head_object(self, ask: Ask) -> Tree:
        if f"{ask.params['Bucket']}/{ask.params['Key']}" not in ask.state.objects:
            raise SimulatedError("NoSuchKey", http_status=404)
        return {}


class Ec2:
    """Subnets and their free addresses."""

    def describe_subnets(self, ask: Ask) -> Tree:
        wanted = ask.params.get("SubnetIds", list(ask.state.subnets))
        for name in wanted:
            if name not in ask.state.subnets:
                raise SimulatedError(
                    "InvalidSubnetID.NotFound", f"The subnet ID '{name}' does not exist"
                )
        return {
            "Subnets": [
                {
                    "SubnetId": name,
                    "AvailableIpAddressCount": ask.state.subnets[name],
                    "AvailabilityZone": "eu-west-1a",
                    "CidrBlock": "10.0.0.0/20",
                    "VpcId": "vpc-0a1b2c3d",
                    "State": "available",
                }
                for name in wanted
            ]
        }


class ApplicationAutoscaling:
    """Which services an autoscaler moves, and between which bounds."""

    def describe_scalable_targets(self, ask: Ask) -> Tree:
        wanted = ask.params.get("ResourceIds", list(ask.state.scalable_targets))
        targets = [
            {
                "ServiceNamespace": "ecs",
                "ResourceId": name,
                "ScalableDimension": "ecs:service:DesiredCount",
                "MinCapacity": ask.state.scalable_targets[name][0],
                "MaxCapacity": ask.state.scalable_targets[name][1],
                "RoleARN": f"arn:aws:iam::{ask.state.account}:role/autoscaling",
                "CreationTime": ask.now,
                "SuspendedState": {
                    "DynamicScalingInSuspended": False,
                    "DynamicScalingOutSuspended": False,
                    "ScheduledScalingSuspended": False,
                },
            }
            for name in wanted
            if name in ask.state.scalable_targets
        ]
        return page_by(ask, "ScalableTargets", targets, "NextToken", "NextToken", "MaxResults", 50)

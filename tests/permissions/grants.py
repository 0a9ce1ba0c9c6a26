"""The permissions of the template one by one, and those of a deployed stack with one of them taken away."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.stack import Stack
from tests.unit.test_template import ROLES, as_list, properties

#: The roles of Step Functions and of the scheduler, for which the emulator makes calls in its own name.
SERVICE_ROLES = sorted(
    role
    for role in ROLES
    if properties(role)["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] != {"Service": "lambda.amazonaws.com"}
)


@dataclass(frozen=True, slots=True)
class Grant:
    """One action on one resource (`place` in its statement), through `services` alone if there are any."""

    role: str
    policy: str
    sid: str
    action: str
    resource: str
    place: int
    services: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.role.removesuffix('Role')}-{self.action}-{self.resource}"


def grants() -> list[Grant]:
    """Everything that the template allows to anybody."""
    return [grant for role in sorted(ROLES) for grant in grants_of(role)]


def grants_of(role: str) -> Iterator[Grant]:
    """What the template allows to a role, in its own order."""
    for policy in properties(role)["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            through = statement.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService", [])
            services = tuple(one["Fn::Sub"].partition(".")[0] for one in as_list(through))
            for action in as_list(statement["Action"]):
                for place, resource in enumerate(as_list(statement["Resource"])):
                    yield Grant(
                        role, policy["PolicyName"], statement["Sid"], action, written(resource), place, services
                    )


def written(resource: Any) -> str:
    """A resource of the template as a reader would write it."""
    match resource:
        case {"Fn::GetAtt": [name, _]} | {"Ref": name}:
            return str(name)
        case {"Fn::Sub": str(text)}:
            text = re.sub(r"\$\{(\w+)\.Arn\}", r"\1", text)
            return re.sub(r"^arn:\$\{AWS::Partition\}:\w+:[^:]+:+[^:]+:+[^:]+:+[^:]+:+", "", text).replace(
                "${AWS::StackName}", "STACK"
            )
        case _:
            return str(resource)


@dataclass(frozen=True)
class Roles:
    """The roles of a deployed stack."""

    stack: Stack
    names: dict[str, str]

    @property
    def _iam(self) -> Any:
        return self.stack.emulator.client("iam")

    def documents(self, role: str) -> dict[str, Any]:
        """The policies of a role by their names."""
        iam, name = self._iam, self.names[role]
        policies = iam.list_role_policies(RoleName=name)["PolicyNames"]
        return {one: iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"] for one in policies}

    def resource(self, grant: Grant) -> str:
        """The resource of a permission as it is deployed."""
        document = self.documents(grant.role)[grant.policy]
        (statement,) = (one for one in document["Statement"] if one["Sid"] == grant.sid)
        return str(as_list(statement["Resource"])[grant.place])

    @contextmanager
    def without(self, grant: Grant) -> Iterator[None]:
        """The stack while a role lacks one permission."""
        whole = self.documents(grant.role)[grant.policy]
        self._put(grant, reduced(whole, grant))
        try:
            yield
        finally:
            self._put(grant, whole)

    def _put(self, grant: Grant, document: Any) -> None:
        name = self.names[grant.role]
        self._iam.put_role_policy(RoleName=name, PolicyName=grant.policy, PolicyDocument=json.dumps(document))

    def copy(self, role: str, without: Grant | None = None) -> dict[str, str]:
        """Credentials of a role with the same policies, for what AWS itself does with it and the emulator does not."""
        iam, name = self._iam, f"copy-of-{role}"
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}],
        }
        if name not in {
            one["RoleName"] for page in iam.get_paginator("list_roles").paginate() for one in page["Roles"]
        }:
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        for policy, document in self.documents(role).items():
            lacks = without if without and without.policy == policy else None
            text = json.dumps(reduced(document, lacks))
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=text)
        sts = self.stack.emulator.client("sts")
        taken = sts.assume_role(RoleArn=iam.get_role(RoleName=name)["Role"]["Arn"], RoleSessionName="test")
        return {
            "aws_access_key_id": taken["Credentials"]["AccessKeyId"],
            "aws_secret_access_key": taken["Credentials"]["SecretAccessKey"],
            "aws_session_token": taken["Credentials"]["SessionToken"],
        }


def reduced(document: Any, grant: Grant | None) -> Any:
    """A policy without one permission and otherwise the same."""
    kept = [
        {**statement, "Action": action, "Resource": resource}
        for statement in document["Statement"]
        for action in as_list(statement["Action"])
        for place, resource in enumerate(as_list(statement["Resource"]))
        if grant is None or (statement["Sid"], action, place) != (grant.sid, grant.action, grant.place)
    ]
    return {**document, "Statement": kept}

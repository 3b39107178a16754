"""Reading synthesised templates, and judging policies as IAM would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from infra.stages import Stage, stage_named

Resource = dict[str, Any]
_PSEUDO = {"AWS::Partition": "aws", "AWS::Region": "eu-central-1", "AWS::AccountId": "111122223333"}


@dataclass(frozen=True)
class Synthesised:
    """A stage's assembly: `resources` of both stacks by logical id, and how the command ended."""

    stage: Stage
    folder: Path
    status: int
    output: str
    data: Resource
    service: Resource
    report: Resource

    @classmethod
    def read(cls, stage: str, folder: Path) -> Synthesised:
        done = json.loads((folder / "done.json").read_text())
        assert (folder / "Service.template.json").exists(), done["output"][-4000:]
        data, service = (
            json.loads((folder / f"{name}.template.json").read_text()) for name in ("Data", "Service")
        )
        report = folder / "validation-report.json"
        findings = json.loads(report.read_text()) if report.exists() else {"pluginReports": []}
        return cls(stage_named(stage), folder, done["status"], done["output"], data, service, findings)

    @property
    def resources(self) -> dict[str, Resource]:
        return {**self.data["Resources"], **self.service["Resources"]}

    def of_type(self, kind: str) -> dict[str, Resource]:
        """Properties of every resource of that type, by logical id."""
        return {
            name: each.get("Properties", {}) for name, each in self.resources.items() if each["Type"] == kind
        }

    def only(self, kind: str) -> Resource:
        (properties,) = self.of_type(kind).values()
        return properties

    def function(self, name: str) -> Resource:
        """Properties of a catalogue function."""
        full = f"{self.stage.prefix}-{name}"
        (found,) = (
            p for p in self.of_type("AWS::Lambda::Function").values() if p.get("FunctionName") == full
        )
        return found

    def environment(self, function: str) -> dict[str, str]:
        variables = self.function(function)["Environment"]["Variables"]
        return {name: self.text(value) for name, value in variables.items()}

    def role(self, function: str) -> Resource:
        properties = self.resources[self.function(function)["Role"]["Fn::GetAtt"][0]]
        return dict(properties["Properties"])

    def statements(self, function: str) -> list[Resource]:
        """Everything the function's role says: its own policies and those attached to it from outside."""
        role = self.function(function)["Role"]["Fn::GetAtt"][0]
        documents = [policy["PolicyDocument"] for policy in self.role(function).get("Policies", [])]
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"):
            for policy in self.of_type(kind).values():
                if {"Ref": role} in policy.get("Roles", []) or policy.get("RoleName") == {"Ref": role}:
                    documents.append(policy["PolicyDocument"])
        return [statement for document in documents for statement in document["Statement"]]

    def allows(self, function: str, action: str, resource: str) -> bool:
        """Whether the role lets the function do it; conditions are taken as met."""
        matching = [s for s in self.statements(function) if self._covers(s, action, resource)]
        return any(s["Effect"] == "Allow" for s in matching) and all(s["Effect"] == "Allow" for s in matching)

    def _covers(self, statement: Resource, action: str, resource: str) -> bool:
        actions = (fnmatchcase(action.lower(), each.lower()) for each in as_list(statement["Action"]))
        resources = (fnmatchcase(resource, self.text(each)) for each in as_list(statement["Resource"]))
        return any(actions) and any(resources)

    def arn(self, service: str, rest: str) -> str:
        return f"arn:aws:{service}:{_PSEUDO['AWS::Region']}:{_PSEUDO['AWS::AccountId']}:{rest}"

    @property
    def bucket_arn(self) -> str:
        return f"arn:aws:s3:::{self.stage.prefix}-{_PSEUDO['AWS::AccountId']}-{_PSEUDO['AWS::Region']}"

    def text(self, value: Any) -> str:
        """An expression of CloudFormation as a string; what only a deployment knows stays a reference."""
        if not isinstance(value, dict):
            return str(value)
        if "Fn::Join" in value:
            separator, parts = value["Fn::Join"]
            return str(separator).join(self.text(part) for part in parts)
        if "Ref" in value:
            return _PSEUDO.get(value["Ref"], f"<{value['Ref']}>")
        if "Fn::GetAtt" in value:
            return f"<{'.'.join(value['Fn::GetAtt'])}>"
        return f"<{'/'.join(strings(value))}>"


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def strings(value: Any) -> Iterator[str]:
    """Every string in a template's part."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)

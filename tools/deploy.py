"""Deploys a stage to AWS, or to whatever answers at `AWS_ENDPOINT_URL`: the local cloud, LocalStack, others.

    python -m tools.deploy --stage dev
    AWS_ENDPOINT_URL=http://127.0.0.1:4566 python -m tools.deploy --stage local

It is `cdk bootstrap` and `cdk deploy` with the pinned command line and nothing else. A stage that brings
its own PostgreSQL and Redis wants their secrets first: `--postgres` and `--redis` write them from URLs.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tools.node import QUIET, ROOT, NotSetUp, cdk_command, search_path

APP_ROLE = "modelyard_app"
PATIENCE = 3600.0  # seconds; an RDS instance takes a quarter of an hour
Outputs = dict[str, str]


class DeploymentFailed(RuntimeError):
    """The command line's own words, and what to do."""


def clients(environment: Mapping[str, str]) -> Callable[[str], Any]:
    """Makes boto3 clients for the endpoint, region and credentials in `environment`."""
    import boto3
    from botocore.config import Config

    session = boto3.Session(
        aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=environment.get("AWS_SESSION_TOKEN"),
        region_name=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION"),
        profile_name=environment.get("AWS_PROFILE"),
    )
    config = Config(connect_timeout=5, read_timeout=60, retries={"max_attempts": 3, "mode": "standard"})
    endpoint = environment.get("AWS_ENDPOINT_URL")
    return lambda service: session.client(service, endpoint_url=endpoint, config=config)


def put_secret(client: Any, name: str, value: Mapping[str, Any]) -> None:
    """Creates the JSON secret `name`, or gives it a new value where it differs."""
    text = json.dumps(dict(value), sort_keys=True)
    try:
        if client.get_secret_value(SecretId=name)["SecretString"] != text:
            client.put_secret_value(SecretId=name, SecretString=text)
    except client.exceptions.ResourceNotFoundException:
        client.create_secret(Name=name, SecretString=text)


def database_secret(url: str) -> dict[str, Any]:
    """`postgresql://user:password@host:5432/dbname?sslmode=require` as the fields of the secret."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname or not parts.username:
        raise ValueError("give PostgreSQL as postgresql://user:password@host:5432/dbname")
    query = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    secret: dict[str, Any] = {
        "host": parts.hostname,
        "port": parts.port or 5432,
        "username": unquote(parts.username),
        "password": unquote(parts.password or ""),
        "dbname": parts.path.lstrip("/") or "modelyard",
    }
    return secret | ({"sslmode": query["sslmode"]} if "sslmode" in query else {})


def redis_secret(url: str) -> dict[str, Any]:
    """`rediss://:password@host:6379` as the fields of the secret; `rediss` means TLS."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError("give Redis as redis://:password@host:6379, or rediss:// for TLS")
    secret: dict[str, Any] = {
        "host": parts.hostname,
        "port": parts.port or 6379,
        "tls": parts.scheme == "rediss",
    }
    return secret | ({"password": unquote(parts.password)} if parts.password else {})


def bring_services(
    stage: str, environment: Mapping[str, str], *, owner: Mapping[str, Any], redis: Mapping[str, Any]
) -> None:
    """The three secrets of a stage whose PostgreSQL and Redis live outside the stack.

    The application's own role keeps its password where it has one; `migrate` creates the role.
    """
    client = clients(environment)("secretsmanager")
    name = f"modelyard/{stage}/database"
    try:
        password = json.loads(client.get_secret_value(SecretId=name)["SecretString"])["password"]
    except client.exceptions.ResourceNotFoundException:
        password = secrets.token_urlsafe(24)
    put_secret(client, f"{name}-owner", owner)
    put_secret(client, name, {**owner, "username": APP_ROLE, "password": password})
    put_secret(client, f"modelyard/{stage}/redis", redis)


class Deployment:
    """`cdk bootstrap` and `cdk deploy` of one stage; `say` receives the lines they print."""

    def __init__(
        self,
        stage: str,
        environment: Mapping[str, str],
        *,
        context: Mapping[str, str] | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.stage = stage
        self.environment = {**QUIET, **environment, "PATH": search_path()}
        self.context = {"stage": stage, **(context or {})}
        self.say = say

    def run(self) -> Outputs:
        """Bootstraps where needed, deploys all stacks, and returns their outputs by name."""
        self._bootstrap()
        with tempfile.TemporaryDirectory(prefix="modelyard-deploy-") as folder:
            outputs = Path(folder) / "outputs.json"
            self._cdk(
                "deploy", "--all", "--require-approval", "never", "--progress", "events", "--no-notices",
                "--output", f"{folder}/cdk.out", "--outputs-file", str(outputs), *self._context(),
            )  # fmt: skip
            stacks: dict[str, Outputs] = json.loads(outputs.read_text())
        return {name: value for stack in stacks.values() for name, value in stack.items()}

    def _bootstrap(self) -> None:
        make = clients(self.environment)
        account = make("sts").get_caller_identity()["Account"]
        cloudformation = make("cloudformation")
        region = cloudformation.meta.region_name
        try:
            status = cloudformation.describe_stacks(StackName="CDKToolkit")["Stacks"][0]["StackStatus"]
        except cloudformation.exceptions.ClientError:
            status = "MISSING"
        if not status.endswith("_COMPLETE") or status.startswith(("ROLLBACK", "DELETE")):
            # An app is not needed to bootstrap, and synthesising ours takes longer than bootstrapping.
            self._cdk("bootstrap", f"aws://{account}/{region}", "--no-notices", "--app", "", app=False)

    def _context(self) -> list[str]:
        return [word for name, value in self.context.items() for word in ("--context", f"{name}={value}")]

    def _cdk(self, *arguments: str, app: bool = True) -> None:
        command = [*cdk_command(), *arguments]
        place = ROOT if app else Path(tempfile.gettempdir())
        process = subprocess.Popen(
            command, cwd=place, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
        lines: list[str] = []
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line.rstrip())
                self.say(line.rstrip())
            status = process.wait(PATIENCE)
        except BaseException:
            process.terminate()
            process.wait(10)
            raise
        if status != 0:
            raise DeploymentFailed(f"cdk {arguments[0]} failed:\n" + "\n".join(lines[-40:]))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.deploy", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--stage", required=True, help="local, dev or prod")
    parser.add_argument(
        "--postgres", metavar="URL", help="owner of your own PostgreSQL: postgresql://user:pw@host/db"
    )
    parser.add_argument(
        "--redis", metavar="URL", help="your own Redis: redis://:pw@host:6379, rediss:// for TLS"
    )
    arguments = parser.parse_args()
    if bool(arguments.postgres) != bool(arguments.redis):
        parser.error("give --postgres and --redis together")
    try:
        if arguments.postgres:
            bring_services(
                arguments.stage,
                os.environ,
                owner=database_secret(arguments.postgres),
                redis=redis_secret(arguments.redis),
            )
        outputs = Deployment(arguments.stage, os.environ).run()
    except (DeploymentFailed, NotSetUp, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    for name, value in sorted(outputs.items()):
        print(f"{name} = {value}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""boto3 clients with timeouts, made once per environment and only where first needed."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def client(service: str, *, read_timeout: int = 10, attempts: int = 3) -> Any:
    """A boto3 client that waits at most 3 s for a connection and `read_timeout` seconds for an answer.

    `attempts=1` for calls that must not be made twice because an answer was slow.
    """
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=3,
        read_timeout=read_timeout,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        tcp_keepalive=True,  # an answer that takes minutes must not lose its connection on the way
        signature_version="s3v4" if service == "s3" else None,
        s3={"addressing_style": "path"} if _custom_endpoint() else None,
    )
    return boto3.client(service, config=config)


def _custom_endpoint() -> bool:
    import os

    return bool(os.environ.get("AWS_ENDPOINT_URL"))

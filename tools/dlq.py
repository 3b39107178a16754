"""Dead-letter queues: what lies in them, and sending it back where it came from.

    python -m tools.dlq                                   # every dead-letter queue and how much is in it
    python -m tools.dlq show register                     # the messages, oldest first; they stay
    python -m tools.dlq replay register                   # all of them again
    python -m tools.dlq replay register --id 1c2d… --id …  # only these

A queue is named by its whole name or by its last part (`register`, `batch`); `--stage dev` tells two stages
of one account apart. Credentials, region and `AWS_ENDPOINT_URL` come from the environment, as for
`tools.deploy`. Replaying is safe: what is delivered twice is done once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tools.deploy import clients

HOLD_SECONDS = 60
"""How long messages that are being looked at stay hidden from others, should this command be killed."""
MOST_SHOWN = 200


class NotFound(Exception):
    """No such queue, or more than one."""


@dataclass(frozen=True)
class DeadLetters:
    """A dead-letter queue and the queue whose messages it keeps. `waiting` is approximate, as SQS counts."""

    main_name: str
    main_url: str
    dead_url: str
    waiting: int

    @property
    def name(self) -> str:
        return self.dead_url.rpartition("/")[2]


@dataclass(frozen=True)
class Message:
    id: str
    receipt: str
    body: str
    attributes: dict[str, Any]
    sent: datetime
    receives: int


def dead_letter_queues(sqs: Any) -> list[DeadLetters]:
    """Every queue of the account that has a dead-letter queue there."""
    urls = [url for page in sqs.get_paginator("list_queues").paginate() for url in page.get("QueueUrls", [])]
    by_name = {url.rpartition("/")[2]: url for url in urls}
    found = []
    for name, url in sorted(by_name.items()):
        policy = _attributes(sqs, url).get("RedrivePolicy")
        dead = policy and by_name.get(json.loads(policy)["deadLetterTargetArn"].rpartition(":")[2])
        if dead:
            waiting = int(_attributes(sqs, dead)["ApproximateNumberOfMessages"])
            found.append(DeadLetters(name, url, dead, waiting))
    return found


def _attributes(sqs: Any, url: str) -> dict[str, str]:
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return dict(answer.get("Attributes", {}))


def choose(queues: Sequence[DeadLetters], name: str, stage: str | None) -> DeadLetters:
    """The one queue that is meant; raises `NotFound` naming those there are."""
    fitting = [
        queue
        for queue in queues
        if name in (queue.main_name, queue.name, queue.main_name.rpartition("-")[2])
        and (stage is None or f"-{stage}-" in queue.main_name)
    ]
    if len(fitting) == 1:
        return fitting[0]
    there = ", ".join(queue.main_name for queue in queues) or "none"
    many = "more than one queue fits; add --stage" if fitting else "no such queue"
    raise NotFound(f"{name}: {many}. Queues with dead letters: {there}")


@contextmanager
def held(sqs: Any, queue: DeadLetters, *, limit: int = MOST_SHOWN) -> Iterator[list[Message]]:
    """Up to `limit` messages, oldest first, hidden from others meanwhile; what is left is shown again."""
    messages: dict[str, Message] = {}
    try:
        while len(messages) < limit and (received := _receive(sqs, queue, min(10, limit - len(messages)))):
            messages |= {message.id: message for message in received}
        yield sorted(messages.values(), key=lambda message: message.sent)
    finally:
        for message in messages.values():
            _show_again(sqs, queue, message)


def _receive(sqs: Any, queue: DeadLetters, count: int) -> list[Message]:
    answer = sqs.receive_message(
        QueueUrl=queue.dead_url,
        MaxNumberOfMessages=count,
        VisibilityTimeout=HOLD_SECONDS,
        WaitTimeSeconds=1,  # waiting makes SQS ask all of its hosts: an empty answer means empty
        MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
        MessageAttributeNames=["All"],
    )
    return [_message(raw) for raw in answer.get("Messages", [])]


def _message(raw: dict[str, Any]) -> Message:
    system = raw.get("Attributes", {})
    return Message(
        id=raw["MessageId"],
        receipt=raw["ReceiptHandle"],
        body=raw["Body"],
        attributes=raw.get("MessageAttributes", {}),
        sent=datetime.fromtimestamp(int(system.get("SentTimestamp", 0)) / 1000, UTC),
        receives=int(system.get("ApproximateReceiveCount", 0)),
    )


def _show_again(sqs: Any, queue: DeadLetters, message: Message) -> None:
    from botocore.exceptions import ClientError

    with suppress(ClientError):  # replayed and deleted, or its time is over: it is gone or visible anyway
        sqs.change_message_visibility(
            QueueUrl=queue.dead_url, ReceiptHandle=message.receipt, VisibilityTimeout=0
        )


def subject(body: str) -> str:
    """What a message is about: the keys of an upload, the chunk of a job, or its beginning."""
    try:
        data = json.loads(body)
        if "Records" in data:
            return ", ".join(record["s3"]["object"]["key"] for record in data["Records"])
        if "job_id" in data:
            return f"{data['job_id']} " + ("split" if data.get("split") else f"chunk {data.get('chunk')}")
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return body[:120]


def replay(sqs: Any, queue: DeadLetters, messages: Sequence[Message]) -> int:
    """Sends each message to its first queue and then deletes it here: none is lost, one may come twice."""
    for message in messages:
        sent = {k: v for k, v in message.attributes.items() if v.get("DataType")}
        sqs.send_message(QueueUrl=queue.main_url, MessageBody=message.body, MessageAttributes=sent)
        sqs.delete_message(QueueUrl=queue.dead_url, ReceiptHandle=message.receipt)
    return len(messages)


def run(arguments: argparse.Namespace, sqs: Any) -> int:
    queues = dead_letter_queues(sqs)
    if arguments.command is None:
        for queue in queues:
            print(f"{queue.waiting:6d}  {queue.name}  (from {queue.main_name})")
        return 0
    queue = choose(queues, arguments.queue, arguments.stage)
    with held(sqs, queue, limit=arguments.limit) as messages:
        if arguments.command == "show":
            for message in messages:
                when = message.sent.isoformat(timespec="seconds").replace("+00:00", "Z")
                print(f"{message.id}  sent {when}  {subject(message.body)}")
                if arguments.full:
                    print(f"    {message.body}")
            print(f"{len(messages)} in {queue.name}")
            return 0
        chosen = [message for message in messages if not arguments.id or message.id in arguments.id]
        print(f"{replay(sqs, queue, chosen)} sent back to {queue.main_name}")
        missing = set(arguments.id) - {message.id for message in chosen}
        if missing:
            print(f"not in {queue.name}: {', '.join(sorted(missing))}", file=sys.stderr)
        return 1 if missing else 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tools.dlq", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command")
    for name, words in (("show", "shows messages"), ("replay", "sends messages back")):
        command = commands.add_parser(name, help=words)
        command.add_argument("queue")
        command.add_argument("--stage")
        command.add_argument("--limit", type=int, default=MOST_SHOWN, help=f"at most so many ({MOST_SHOWN})")
        command.add_argument("--full", action="store_true", help="with the whole body")
        command.add_argument("--id", action="append", default=[], help="only this message; may be repeated")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, *, sqs: Any = None) -> int:
    parsed = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        return run(parsed, sqs or clients(os.environ)("sqs"))
    except NotFound as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

"""Jobs in tests: a cloud in process, registered models, and a driver that plays SQS and Lambda."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.kit.clock import utc_now
from modelyard.kit.ids import new_id

if TYPE_CHECKING:
    from tests.support.composition import LocalComposition
    from tests.support.http import ApiGateway
    from tests.support.serving import Trained

BUCKET = "modelyard-test-data"
REGION = "eu-central-1"


@dataclass
class Clock:
    """A clock that a test turns."""

    now: datetime = field(default_factory=utc_now)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class BatchCloud:
    """What a test reaches of AWS."""

    s3: Any
    sqs: Any
    queue_url: str

    def put(self, key: str, content: bytes) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=content)

    def read(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def fetch(self, key: str) -> Iterator[bytes]:
        """For `serving.artifacts.ArtifactStore`."""
        return iter([self.read(key)])

    def keys(self, prefix: str = "") -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for item in listed.get("Contents", [])]

    def messages(self) -> list[dict[str, Any]]:
        """Takes everything out of the batch queue, as Lambda's poller sees it."""
        found = []
        while received := self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, AttributeNames=["ApproximateReceiveCount"]
        ).get("Messages"):
            for message in received:
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
                found.append(record(json.loads(message["Body"]), receipt=message["ReceiptHandle"]))
        return found


def record(body: Any, *, attempt: int = 1, receipt: str = "receipt", message_id: str = "") -> dict[str, Any]:
    """One message of an SQS event."""
    return {
        "messageId": message_id or new_id("msg"),
        "receiptHandle": receipt,
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"ApproximateReceiveCount": str(attempt)},
        "eventSource": "aws:sqs",
    }


def register(cloud: BatchCloud, composition: LocalComposition, user_id: str, trained: Trained) -> str:
    """A model whose version 1 is ready, as registration leaves it; returns the model's id."""
    from modelyard.db.tables import Model, ModelVersion

    model_id, native = new_id("mdl"), trained.signature.runtime == "native"
    prefix = f"models/{user_id}/{model_id}/v1"
    cloud.put(f"{prefix}/model.onnx", trained.onnx)
    cloud.put(f"{prefix}/metadata.json", json.dumps(trained.signature.to_json()).encode())
    with composition.database.transaction() as session:
        session.add(
            Model(id=model_id, user_id=user_id, name=f"model-{model_id}", default_version=1, last_version=1)
        )
        session.flush()
        session.add(
            ModelVersion(
                id=new_id("ver"),
                model_id=model_id,
                user_id=user_id,
                number=1,
                status="ready",
                filename="model.joblib",
                upload_key=f"uploads/{user_id}/{model_id}/model.joblib",
                artifact_key=f"{prefix}/model.joblib",
                artifact_format="joblib",
                artifact_size=10,
                artifact_sha256="0" * 64,
                onnx_key=None if native else f"{prefix}/model.onnx",
                onnx_sha256=None if native else hashlib.sha256(trained.onnx).hexdigest(),
                runtime=trained.signature.runtime,
                signature=trained.signature.to_json(),
            )
        )
    return model_id


def submit(api: ApiGateway, model_id: str, rows: list[Any]) -> str:
    """Submits rows as `inputs`; returns the job's id."""
    answer = api.post(f"/predict/batch/{model_id}", json={"inputs": rows})
    assert answer.status == 202, answer.text
    return str(answer.json()["job_id"])


def model_cache(
    cloud: BatchCloud, folder: Path, invoke: Callable[[dict[str, Any], str, float], dict[str, Any]]
) -> Any:
    """Loads models from the cloud's bucket; native ones are predicted by `invoke`."""
    from modelyard.serving.artifacts import ArtifactStore
    from modelyard.serving.models import ModelCache
    from modelyard.serving.runtime import NativeRuntime

    return ModelCache(
        ArtifactStore(cloud.fetch, folder),
        lambda signature, version, tenant: NativeRuntime(
            signature, version, tenant=tenant, presign=lambda key: f"https://signed/{key}", invoke=invoke
        ),
    )

"""MLflow's scoring client and boto3's SageMaker runtime. Reads what to do as JSON on stdin."""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.parse import urlsplit

import boto3
import numpy as np
import pandas as pd
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from mlflow.pyfunc.scoring_server.client import ScoringServerClient


def records_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def mlflow(order: dict[str, Any]) -> dict[str, Any]:
    url = urlsplit(order["url"])

    def client(model: str, key: str = order["key"]) -> ScoringServerClient:
        # The client sends no headers of ours: the key is the password of the address
        return ScoringServerClient(f"key:{key}@{url.hostname}", f"{url.port}{url.path}/models/{model}")

    def failure(call: Any) -> str:
        try:
            call()
        except Exception as error:
            return str(error)
        return "none"

    iris, flats = client("iris"), client("flats")
    rows, frame = np.array(order["rows"]), pd.DataFrame(order["frame"])
    gaps = pd.DataFrame(order["gaps"])
    iris.ping()
    iris.wait_server_ready(timeout=30)

    def values(client: ScoringServerClient, data: Any, **more: Any) -> Any:
        return client.invoke(data, **more).get_predictions("ndarray").tolist()

    return {
        "version": iris.get_version(),
        "array": values(iris, rows),
        "list": values(iris, rows.tolist()),
        "unnamed": values(iris, pd.DataFrame(rows)),
        "probabilities": values(iris, rows, params={"outputs": "predict_proba"}),
        "frame": values(flats, frame),
        "records": values(flats, json.dumps({"dataframe_records": records_of(frame)})),
        "gaps": values(flats, gaps),
        "gaps_as_nan": values(flats, gaps.astype({"city": object}).where(gaps.notna(), np.nan)),
        "gaps_in_records": values(flats, json.dumps({"dataframe_records": records_of(gaps)})),
        "bad": failure(lambda: flats.invoke(frame.drop(columns="city"))),
        "bad_width": failure(lambda: iris.invoke(rows[:, :3])),
        "missing": failure(client("nothing").ping),
        "missing_invoke": failure(lambda: client("nothing").invoke(rows)),
        "failed": failure(client("broken").ping),
        "failed_version": failure(client("broken").get_version),
        "failed_invoke": failure(lambda: client("broken").invoke(rows)),
        "stranger_invoke": failure(lambda: client("iris", "mdk_wrong").invoke(rows)),
        "stranger": failure(client("iris", "mdk_wrong").ping),
    }


def sagemaker(order: dict[str, Any]) -> dict[str, Any]:
    def runtime(key: str) -> Any:
        client = boto3.client(
            "sagemaker-runtime",
            endpoint_url=order["url"],
            region_name="eu-central-1",
            config=Config(signature_version=UNSIGNED, retries={"max_attempts": 0}),
        )

        def authorize(request: Any, **_: Any) -> None:
            request.headers["X-API-Key"] = key

        client.meta.events.register("before-send.sagemaker-runtime.InvokeEndpoint", authorize)
        return client

    client = runtime(order["key"])

    def invoke(model: str, body: str, kind: str, client: Any = client) -> Any:
        answer = client.invoke_endpoint(EndpointName=model, ContentType=kind, Body=body.encode())
        return json.loads(answer["Body"].read())["predictions"]

    def failure(model: str, body: str, kind: str = "text/csv", client: Any = client) -> list[Any]:
        """The exception's class, the status and the words."""
        try:
            invoke(model, body, kind, client)
        except ClientError as error:
            return [type(error).__name__, error.response["Error"]["Code"], str(error)]
        return ["none", "", ""]

    lines = "\n".join(",".join(map(repr, row)) for row in order["rows"])
    frame, gaps = pd.DataFrame(order["frame"]), pd.DataFrame(order["gaps"])
    split = {
        "dataframe_split": {
            "columns": list(order["gaps"]),
            "data": [list(r.values()) for r in records_of(gaps)],
        }
    }
    return {
        "csv": invoke("iris", lines, "text/csv"),
        "json": invoke("iris", json.dumps({"instances": order["rows"]}), "application/json"),
        "frame": invoke("flats", frame.to_csv(index=False), "text/csv"),
        "bare_frame": invoke("flats", frame.to_csv(index=False, header=False), "text/csv"),
        "gaps": invoke("flats", gaps.to_csv(index=False), "text/csv"),
        "gaps_as_json": invoke("flats", json.dumps(split), "application/json"),
        "bad": failure("iris", "1,2,3"),
        "bad_kind": failure("iris", "1,2,3", "application/x-parquet"),
        "missing": failure("nothing", lines),
        "failed": failure("broken", lines),
        "stranger": failure("iris", lines, client=runtime("mdk_wrong")),
    }


if __name__ == "__main__":
    given = json.load(sys.stdin)
    json.dump({"mlflow": mlflow(given), "sagemaker": sagemaker(given)}, sys.stdout)

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
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    iris.ping()
    return {
        "version": iris.get_version(),
        "array": iris.invoke(rows).get_predictions("ndarray").tolist(),
        "unnamed": iris.invoke(pd.DataFrame(rows)).get_predictions("ndarray").tolist(),
        "frame": flats.invoke(frame).get_predictions("ndarray").tolist(),
        "records": flats.invoke(json.dumps({"dataframe_records": records}))
        .get_predictions("ndarray")
        .tolist(),
        "bad": failure(lambda: flats.invoke(frame.drop(columns="city"))),
        "missing": failure(client("nothing").ping),
        "stranger": failure(client("iris", "mdk_wrong").ping),
    }


def sagemaker(order: dict[str, Any]) -> dict[str, Any]:
    client = boto3.client(
        "sagemaker-runtime",
        endpoint_url=order["url"],
        region_name="eu-central-1",
        config=Config(signature_version=UNSIGNED, retries={"max_attempts": 0}),
    )

    def authorize(request: Any, **_: Any) -> None:
        request.headers["X-API-Key"] = order["key"]

    client.meta.events.register("before-send.sagemaker-runtime.InvokeEndpoint", authorize)

    def invoke(model: str, body: str, kind: str) -> Any:
        answer = client.invoke_endpoint(EndpointName=model, ContentType=kind, Body=body.encode())
        return json.loads(answer["Body"].read())["predictions"]

    def failure(body: str) -> list[str]:
        try:
            invoke("iris", body, "text/csv")
        except client.exceptions.ValidationError as error:
            return ["ValidationError", str(error)]
        except ClientError as error:
            return ["ClientError", str(error)]
        return ["none", ""]

    lines = "\n".join(",".join(map(repr, row)) for row in order["rows"])
    frame = pd.DataFrame(order["frame"]).to_csv(index=False)
    return {
        "csv": invoke("iris", lines, "text/csv"),
        "json": invoke("iris", json.dumps({"instances": order["rows"]}), "application/json"),
        "frame": invoke("flats", frame, "text/csv"),
        "bad": failure("1,2,3"),
    }


if __name__ == "__main__":
    given = json.load(sys.stdin)
    json.dump({"mlflow": mlflow(given), "sagemaker": sagemaker(given)}, sys.stdout)

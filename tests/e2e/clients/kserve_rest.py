"""kserve's REST client, V1 and V2. Reads what to do as JSON on stdin, writes what came back."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput


async def failure(call: Awaitable[Any]) -> list[str]:
    try:
        await call
    except httpx.HTTPStatusError as error:
        return [str(error.response.status_code), str(error)]
    return ["none", ""]


def records_of(frame: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(frame, values, strict=True)) for values in zip(*frame.values(), strict=True)]


def tensors(frame: dict[str, list[Any]]) -> list[InferInput]:
    kinds = {"size": "FP64", "rooms": "INT64", "city": "BYTES"}
    return [InferInput(name, [len(values)], kinds[name], data=values) for name, values in frame.items()]


def binary(rows: list[list[float]]) -> InferInput:
    array = np.array(rows, np.float64)
    tensor = InferInput("input", list(array.shape), "FP64")
    tensor.set_data_from_numpy(array, binary_data=True)
    return tensor


async def main(order: dict[str, Any]) -> dict[str, Any]:
    url, key = order["url"], {"X-API-Key": order["key"]}
    rows, frame = order["rows"], order["frame"]
    gaps, stranger = order["gaps"], {"X-API-Key": "mdk_wrong"}
    one = InferenceRESTClient(RESTConfig(protocol="v1", retries=0))
    two = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))

    async def v1(model: str, instances: Any) -> Any:
        found = await one.infer(url, {"instances": instances}, model_name=model, headers=dict(key))
        return found["predictions"]

    async def v2(model: str, inputs: list[InferInput], output: str | None = None, **headers: str) -> Any:
        asked = None if output is None else [RequestedOutput(output)]
        request = InferRequest(model_name=model, infer_inputs=inputs, request_outputs=asked)
        found = await two.infer(url, request, model_name=model, headers=key | headers)
        return found.outputs[0].data

    nested = InferInput("input", [len(rows), len(rows[0])], "FP64", data=rows)
    answer = {
        "v1_ready": await one.is_model_ready(url, "iris", headers=key),
        "v1_missing": await failure(one.is_model_ready(url, "nothing", headers=key)),
        "v1": await v1("iris", rows),
        "v1_frame": await v1("flats", records_of(frame)),
        "v1_gaps": await v1("flats", records_of(gaps)),
        "v1_failed_ready": await one.is_model_ready(url, "broken", headers=key),
        "v1_failed": await failure(v1("broken", rows)),
        "v1_unknown": await failure(v1("nothing", rows)),
        "v1_stranger_ready": await failure(one.is_model_ready(url, "iris", headers=stranger)),
        "v1_stranger": await failure(one.infer(url, {"instances": rows}, model_name="iris")),
        "v1_bad": await failure(v1("iris", [[1, 2, 3]])),
        "v2_live": await two.is_server_live(url),
        "v2_server_ready": await two.is_server_ready(url),
        "v2_ready": await two.is_model_ready(url, "iris", headers=key),
        "v2_missing": await two.is_model_ready(url, "nothing", headers=key),
        "v2": await v2("iris", [nested]),
        "v2_binary": await v2("iris", [binary(rows)]),
        "v2_frame": await v2("flats", tensors(frame)),
        "v2_gaps": await v2("flats", tensors(gaps)),
        "v2_probabilities": await v2("iris", [nested], "predict_proba"),
        "v2_failed_ready": await two.is_model_ready(url, "broken", headers=key),
        "v2_failed": await failure(v2("broken", [nested])),
        "v2_unknown": await failure(v2("nothing", [nested])),
        "v2_stranger_ready": await two.is_model_ready(url, "iris", headers=stranger),
        "v2_stranger": await failure(v2("iris", [nested], **stranger)),
        "v2_bad": await failure(v2("iris", [InferInput("input", [1, 3], "FP64", data=[1.0, 2.0, 3.0])])),
    }
    await one.close()
    await two.close()
    return answer


if __name__ == "__main__":
    json.dump(asyncio.run(main(json.load(sys.stdin))), sys.stdout)

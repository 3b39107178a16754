"""tritonclient over HTTP, binary and JSON. Reads what to do as JSON on stdin, writes what came back."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException


def matrix(rows: list[list[float]], datatype: str, binary: bool) -> triton.InferInput:
    array = np.array(rows, {"FP64": np.float64, "FP32": np.float32}[datatype])
    tensor = triton.InferInput("input", list(array.shape), datatype)
    return tensor.set_data_from_numpy(array, binary_data=binary)


def columns(frame: dict[str, list[Any]], binary: bool) -> list[triton.InferInput]:
    tensors = []
    for name, values in frame.items():
        kind, dtype = ("FP64", np.float64)
        if isinstance(values[0], str):
            kind, dtype = ("BYTES", np.object_)
        elif isinstance(values[0], int):
            kind, dtype = ("INT64", np.int64)
        array = np.array([np.nan if value is None else value for value in values], dtype).reshape(-1, 1)
        tensor = triton.InferInput(name, list(array.shape), kind)
        tensors.append(tensor.set_data_from_numpy(array, binary_data=binary))
    return tensors


def failure(call: Any) -> list[str]:
    try:
        call()
    except InferenceServerException as error:
        return [str(error.status()), error.message()]
    return ["none", ""]


def main(order: dict[str, Any]) -> dict[str, Any]:
    headers = {"X-API-Key": order["key"]}
    rows, frame = order["rows"], order["frame"]
    client = triton.InferenceServerClient(order["url"].removeprefix("http://"))

    def infer(model: str, tensors: list[Any], output: str = "predict", **more: Any) -> Any:
        outputs = more.pop("outputs", None)
        found = client.infer(model, tensors, headers=dict(headers), outputs=outputs, **more)
        return found.as_numpy(output).tolist()

    def stranger_infer() -> Any:
        return client.infer("iris", [matrix(rows, "FP64", True)], headers={"X-API-Key": "mdk_wrong"})

    probabilities = [triton.InferRequestedOutput("predict_proba")]
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "server": client.get_server_metadata(),
        "model_ready": client.is_model_ready("iris", headers=headers),
        "version_ready": client.is_model_ready("iris", "1", headers=headers),
        "missing_ready": client.is_model_ready("nothing", headers=headers),
        "stranger_ready": client.is_model_ready("iris"),
        "failed_ready": client.is_model_ready("broken", headers=headers),
        "failed_version_ready": client.is_model_ready("broken", "1", headers=headers),
        "iris_metadata": client.get_model_metadata("iris", "1", headers=headers),
        "failed_metadata": failure(lambda: client.get_model_metadata("broken", headers=headers)),
        "missing_metadata": failure(lambda: client.get_model_metadata("nothing", headers=headers)),
        "metadata": client.get_model_metadata("flats", headers=headers),
        "index": client.get_model_repository_index(headers=headers),
        "binary": infer("iris", [matrix(rows, "FP64", True)]),
        "json": infer("iris", [matrix(rows, "FP64", False)], request_id="mine"),
        "single": infer("iris", [matrix(rows, "FP32", True)], model_version="v1"),
        "by_id": infer(order["iris_id"], [matrix(rows, "FP64", True)]),
        "probabilities": infer("iris", [matrix(rows, "FP64", True)], "predict_proba", outputs=probabilities),
        "frame_binary": infer("flats", columns(frame, True)),
        "frame_json": infer("flats", columns(frame, False)),
        "bad_shape": failure(lambda: infer("iris", [matrix([row[:3] for row in rows], "FP64", True)])),
        "bad_name": failure(lambda: infer("nothing", [matrix(rows, "FP64", True)])),
        "bad_output": failure(
            lambda: infer("iris", [matrix(rows, "FP64", True)], outputs=[triton.InferRequestedOutput("x")])
        ),
        "failed": failure(lambda: infer("broken", [matrix(rows, "FP64", True)])),
        "bad_version": failure(lambda: infer("iris", [matrix(rows, "FP64", True)], model_version="9")),
        "bad_type": failure(lambda: infer("flats", columns(order["swapped"], True))),
        "wrong_key": failure(stranger_infer),
        "stranger_index": failure(client.get_model_repository_index),
        "too_large": failure(lambda: infer("iris", [matrix(rows[:1] * 400_000, "FP64", True)])),
        "too_many": failure(lambda: infer("iris", [matrix(rows[:1] * 20_001, "FP64", True)])),
        "stranger": failure(lambda: client.infer("iris", [matrix(rows, "FP64", True)])),
    }


if __name__ == "__main__":
    json.dump(main(json.load(sys.stdin)), sys.stdout)

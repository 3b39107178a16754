"""A mirrored request as its shadow takes it: what its caller would meet, were the shadow promoted."""

from __future__ import annotations

from typing import Any

from modelyard.serving.decoding import Batch, Decoder
from modelyard.serving.errors import InvalidParameter
from modelyard.serving.mirror import Mirrored
from modelyard.serving.signature import Signature


def batch_for(shadow: Decoder, mirrored: Mirrored, answered: Signature) -> Batch:
    """The rows of `mirrored`, which the version with the signature `answered` took, decoded for the shadow.

    Columns go by name where both versions were trained with names, else by position. Raises `InvalidInput`
    where the shadow does not take these rows, and `InvalidParameter` where it lacks an asked output.
    """
    if any(output not in shadow.signature.outputs for output in mirrored.outputs):
        raise InvalidParameter("The shadow does not offer an output that was asked for.")
    return shadow.decode(_body(shadow, mirrored, answered))


def _body(shadow: Decoder, mirrored: Mirrored, answered: Signature) -> dict[str, Any]:
    if answered.layout == "records":
        return {"records": mirrored.columns[0]}
    names = [column.name for column in answered.columns]
    rows = [list(row) for row in zip(*mirrored.columns, strict=True)]
    if shadow.signature.layout == "records":
        return {"records": [dict(zip(names, row, strict=True)) for row in rows]}
    if answered.named and shadow.signature.named:
        return {"inputs": dict(zip(names, mirrored.columns, strict=True))}
    return {"inputs": rows}

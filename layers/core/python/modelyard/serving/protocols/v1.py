"""KServe V1: `{"instances": […]}` in, `{"predictions": […]}` out."""

from __future__ import annotations

from modelyard.kit.errors import FieldError
from modelyard.serving.decoding import Batch, Decoder, invalid
from modelyard.serving.protocols.common import parse_object, read_rows


class Predict:
    """The body of a `:predict`; what else stands in it is ignored, as KServe does."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self, decoder: Decoder) -> tuple[Batch, tuple[str, ...]]:
        """The rows; raises `MalformedBody`, `InvalidInput` or `TooManyRows`."""
        data = parse_object(self._body, '"instances"')
        if "instances" not in data:
            raise invalid([FieldError("", 'expected "instances", found none')])
        return read_rows(decoder, data["instances"], "instances"), ()

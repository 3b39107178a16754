"""Outputs that a compiled model does not have, such as the decision function beside probabilities: the
estimator that it was made from gives them, in the sandbox.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelyard.serving import answers
from modelyard.serving.decoding import Batch
from modelyard.serving.models import LoadedModel
from modelyard.serving.runtime import NativeRuntime


def core(
    model: LoadedModel,
    original: NativeRuntime,
    batch: Batch,
    prepared: Any,
    outputs: Sequence[str],
    deadline: float,
) -> bytes:
    """The answer of the version's own runtime, which is the same with and without more outputs, and what
    `original` gives besides. Raises what `Runtime.run` raises.
    """
    own = [output for output in outputs if output in model.signature.outputs]
    found = model.runtime.run(prepared, batch.rows, own, deadline)
    left = [output for output in outputs if output not in found]
    found |= original.run(original.prepare(batch), batch.rows, left, deadline)
    return answers.render(model.signature, {output: found[output] for output in outputs})

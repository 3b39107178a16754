"""Programs that call one model, ready to paste: they need the key in `MODELYARD_API_KEY` and nothing else."""

from __future__ import annotations

import json
import pprint
import shlex
from typing import Any

from modelyard.serving.signature import Signature

KEY_VARIABLE = "MODELYARD_API_KEY"


def snippets(
    signature: Signature, *, model_id: str, base_url: str, version: str | None = None
) -> dict[str, str]:
    """Language → source. With `version`, such as `v2`, the programs ask that one, not the default."""
    url = f"{base_url}/predict/{model_id}" + (f"?version={version}" if version else "")
    makers = {"curl": _curl, "python": _python, "javascript": _javascript}
    body = example_of(signature)
    return {language: make(url, body) for language, make in makers.items()}


def example_of(signature: Signature) -> dict[str, Any]:
    """The example with its columns in the order of training, which PostgreSQL does not keep."""
    records = signature.example.get("records")
    if not isinstance(records, list):
        return signature.example
    names = [column.name for column in signature.columns]
    return {
        "records": [{n: r[n] for n in [*(n for n in names if n in r), *(r.keys() - names)]} for r in records]
    }


def _curl(url: str, body: dict[str, Any]) -> str:
    # The body is quoted by shlex: a category may hold anything.
    return (
        f"curl -sS {shlex.quote(url)} \\\n"
        f'  -H "X-API-Key: ${KEY_VARIABLE}" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(json.dumps(body, ensure_ascii=False))}\n"
    )


def _python(url: str, body: dict[str, Any]) -> str:
    literal = pprint.pformat(body, width=100, sort_dicts=False)
    return (
        "import json\nimport os\nimport urllib.request\n\n"
        f"body = {literal}\n"
        "request = urllib.request.Request(\n"
        f"    {url!r},\n"
        "    data=json.dumps(body).encode(),\n"
        '    headers={"Content-Type": "application/json", '
        f'"X-API-Key": os.environ["{KEY_VARIABLE}"]}},\n'
        ")\n"
        "with urllib.request.urlopen(request, timeout=30) as answer:\n"
        '    print(json.load(answer)["predictions"])\n'
    )


def _javascript(url: str, body: dict[str, Any]) -> str:
    literal = json.dumps(body, indent=2)  # ASCII: also where a script's encoding is unknown
    return (
        f"const body = {literal};\n"
        f"fetch({json.dumps(url)}, {{\n"
        '  method: "POST",\n'
        '  headers: { "Content-Type": "application/json", "X-API-Key": '
        f"process.env.{KEY_VARIABLE} }},\n"
        "  body: JSON.stringify(body),\n"
        "})\n"
        "  .then((answer) => answer.json())\n"
        "  .then((answer) => console.log(answer.predictions ?? answer));\n"
    )

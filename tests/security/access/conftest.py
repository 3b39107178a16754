"""The whole API in one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.whole_api import WholeApi, whole_api


@pytest.fixture(scope="module")
def api(engine, redis_server, tmp_path_factory) -> Iterator[WholeApi]:
    with whole_api(engine, redis_server, tmp_path_factory.mktemp("models")) as api:
        yield api

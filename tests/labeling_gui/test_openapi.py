"""Whatever is sent to the API, it does not fall over; requests are made up from its own description."""

from contextlib import suppress
from itertools import product
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok

from prefrl_labeling_gui.security import LoginLimit

EXAMPLES = 10
"""Of each operation, for each person, as described and otherwise."""


def send(client: httpx.Client, case: Case[Any]) -> httpx.Response:
    """Send a made-up request as it is."""
    sent = case.as_transport_kwargs(base_url=str(client.base_url))
    return client.request(
        sent["method"],
        sent["url"],
        params=sent.get("params"),
        json=sent.get("json"),
        content=sent.get("data"),
        headers=sent.get("headers"),
    )


@pytest.mark.parametrize("name", ["owner", "fuzzer"])
def test_no_request_breaks_the_server(served: Any, name: str) -> None:
    described = schemathesis.openapi.from_dict(served.server.config.app.openapi())
    schema = described.exclude(path="/api/events")  # never ends; it has tests of its own
    if served.context.people.named("fuzzer") is None:
        served.context.people.invite("fuzzer")
    clients = {person: served.signed_in(person) for person in ("owner", "fuzzer")}
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    statuses: set[int] = set()
    for operation, mode in product(operations, GenerationMode):  # requests as described, and such as break it

        @hypothesis.settings(max_examples=EXAMPLES, suppress_health_check=list(hypothesis.HealthCheck))
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def fuzz(case: Case[Any]) -> None:
            served.context.login_limit = LoginLimit()
            response = send(clients[name], case)
            statuses.add(response.status_code)
            assert response.status_code < 500, f"{case.method} {case.path}: {response.text}"

        with suppress(Unsatisfiable):  # where nothing is asked for, nothing can be wrong
            fuzz()
    assert len(operations) == 20
    assert {200, 404, 422} <= statuses  # some of it is well-formed, some is not

"""Whatever is sent to the API, it does not fall over; requests are made up from its own description."""

from contextlib import suppress
from itertools import product
from typing import Any

import httpx
import hypothesis
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


def test_no_request_breaks_the_server(served: Any) -> None:
    """Each is sent by the owner and by somebody who labels."""
    described = schemathesis.openapi.from_dict(served.server.config.app.openapi())
    schema = described.exclude(path="/api/events")  # never ends; it has tests of its own
    served.context.people.invite("fuzzer")
    clients = {name: served.signed_in(name) for name in ("owner", "fuzzer")}
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    statuses: dict[str, set[int]] = {name: set() for name in clients}
    for operation, mode in product(operations, GenerationMode):  # requests as described, and such as break it

        @hypothesis.settings(max_examples=EXAMPLES, suppress_health_check=list(hypothesis.HealthCheck))
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def fuzz(case: Case[Any]) -> None:
            served.context.login_limit = LoginLimit()
            for name, client in clients.items():
                response = send(client, case)
                statuses[name].add(response.status_code)
                assert response.status_code < 500, f"{name}: {case.method} {case.path}: {response.text}"

        with suppress(Unsatisfiable):  # where nothing is asked for, nothing can be wrong
            fuzz()
    assert len(operations) == 21
    for name in clients:
        assert {200, 404, 422} <= statuses[name]  # some of it is well-formed, some is not

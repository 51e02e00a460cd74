"""The API against what it says of itself: requests made up from its OpenAPI document, good ones and bad ones."""

import contextlib

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tracker.live.web.app import create_app
from tracker.live.web.settings import WebSettings
from tracker.live.web.throttle import Throttle

TOKEN = "a-token-of-more-than-twenty"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
SECRET = "hunter2"
ENDLESS = r"/stream$"
# A schema cannot say that a name is taken, and unknown words in a query are let be.
BY_MEANING = [positive_data_acceptance, negative_data_rejection]
EXAMPLES = {GenerationMode.POSITIVE: 12, GenerationMode.NEGATIVE: 12}


@pytest.fixture
def operations(make_live):
    """All but the endless ones; names of cameras that exist are among what is made up."""
    view = make_live(taking=True, door="live", yard="reconnecting")
    view.cameras["door"].tick()
    for kind in ("camera_lost", "camera_back"):
        view.happen(kind, "yard", reason=f"rtsp://admin:{SECRET}@h/")
    app = create_app(view, WebSettings(token=TOKEN, allow_sources=True, allowed_hosts=("testserver",)))
    app.state.context.access.throttle = Throttle(burst=10**6, overall=10**6)  # wrong tokens are sent in plenty
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=HEADERS).exclude(path_regex=ENDLESS)
    found = [result.ok() for result in schema.get_all_operations()]
    assert len(found) >= 14
    return found


@pytest.mark.parametrize("mode", list(EXAMPLES))
def test_the_api_is_as_its_document_says(operations, mode):
    """No status, body or type of content that is not documented, whatever is sent; and never a password."""
    statuses = set()
    for operation in operations:

        @given(case=operation.as_strategy(generation_mode=mode), known=st.sampled_from(["door", "yard", None]))
        @settings(
            max_examples=EXAMPLES[mode],
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        def ask(case, known):
            if known is not None and "name" in case.path_parameters:
                case.path_parameters["name"] = known
            answer = case.call(headers=HEADERS)
            case.validate_response(answer, excluded_checks=BY_MEANING)
            statuses.add(answer.status_code)
            assert answer.status_code != 500
            assert SECRET.encode() not in answer.content
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == ["application/problem+json"]

        with contextlib.suppress(Unsatisfiable):  # nothing to get wrong: no parameters
            ask()
    assert statuses & ({200, 201} if mode is GenerationMode.POSITIVE else {422})

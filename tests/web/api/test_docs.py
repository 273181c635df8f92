from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import validate
from starlette.testclient import TestClient

from app.settings import load_settings
from app.spec import AvatarSpec, field_range, shown_default
from app.web.app import create_app
from app.web.http.problems import STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.errors import RibbonsError


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The OpenAPI document, of a service that takes batches."""
    app = create_app(load_settings(batches=True))
    found: dict[str, Any] = TestClient(app).get("/openapi.json").json()
    return found


def references(value: object) -> Iterator[str]:
    """Return every ``$ref`` below a value."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for below in value.values():
            yield from references(below)
    elif isinstance(value, list):
        for below in value:
            yield from references(below)


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return every operation."""
    for path in document["paths"].values():
        yield from path.values()


def keys(value: object) -> Iterator[str]:
    """Return every key below a value."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for below in value:
            yield from keys(below)


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema, or the one that it refers to."""
    name = schema.get("$ref", "").removeprefix("#/components/schemas/")
    found: dict[str, Any] = document["components"]["schemas"][name] if name else schema
    return found


def test_every_route_is_described(document: dict[str, Any]) -> None:
    """Each path of the contract, with a summary and a description."""
    assert set(document["paths"]) == {
        "/v1/avatars",
        "/v1/batches",
        "/v1/batches/{batch}",
        "/v1/batches/{batch}/archive",
        "/v1/batches/{batch}/avatars.zip",
        "/v1/batches/{batch}/avatars/{name}",
        "/v1/batches/{batch}/contact-sheet.webp",
        "/v1/batches/{batch}/downloads",
        "/v1/batches/{batch}/events",
        "/v1/batches/{batch}/photos",
        "/v1/batches/{batch}/photos/{name}",
        "/v1/batches/{batch}/photos/{name}/framing",
        "/v1/batches/{batch}/report.csv",
        "/v1/batches/{batch}/start",
        "/v1/batches/{batch}/table",
        "/v1/batches/{batch}/thumbnails/{name}",
        "/v1/renditions",
        "/v1/frames",
        "/v1/frames/{frame_id}",
        "/v1/frames/{frame_id}/overlay.png",
        "/v1/frames/{frame_id}/overlay.webp",
        "/v1/stats",
        "/v1/problems",
        "/v1/problems/{code}",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    for operation in operations(document):
        assert operation["summary"]
        assert operation["description"]


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    """No schema is referred to that is not there, and none is FastAPI's own."""
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]
    assert "HTTPValidationError" not in str(document)


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    """A validator that knows OpenAPI 3.1 finds nothing."""
    validate(document)


def test_every_operation_has_a_name_that_a_person_would_choose(document: dict[str, Any]) -> None:
    """Generated programs call their functions so: a change here breaks them."""
    assert {operation["operationId"] for operation in operations(document)} == {
        "makeAvatar",
        "makeRendition",
        "makeBatch",
        "listBatches",
        "showBatch",
        "startBatch",
        "eraseBatch",
        "sendPhoto",
        "sendArchive",
        "sendTable",
        "framePhoto",
        "listPhotos",
        "showPhoto",
        "followBatch",
        "downloadAvatars",
        "downloadAvatar",
        "downloadReport",
        "makeDownload",
        "showContactSheet",
        "showThumbnail",
        "listFrames",
        "showFrame",
        "drawOverlayPng",
        "drawOverlayWebp",
        "listProblems",
        "showProblem",
        "showStats",
        "isAlive",
        "isReady",
        "showMetrics",
    }
    told = {tag["name"] for tag in document["tags"]}
    assert {tag for operation in operations(document) for tag in operation["tags"]} == told
    assert all(tag["description"] for tag in document["tags"])


def test_the_document_says_where_the_service_is() -> None:
    """At the address that was set, and in any case where the document was read."""
    for public_url, wanted in ((None, ["/"]), ("https://ribbons.example", ["https://ribbons.example", "/"])):
        app = create_app(load_settings(public_url=public_url))
        document = TestClient(app).get("/openapi.json").json()
        assert [server["url"] for server in document["servers"]] == wanted


def test_every_field_of_the_spec_is_described_in_both_ways(document: dict[str, Any]) -> None:
    """Form and query say the same, and what they say is what the spec declares."""
    operation = document["paths"]["/v1/avatars"]["post"]
    parameters = {parameter["name"]: parameter for parameter in operation["parameters"]}
    content = operation["requestBody"]["content"]
    assert content.keys() == {"multipart/form-data", "application/octet-stream"}
    form = resolved(document, content["multipart/form-data"]["schema"])
    assert form["required"] == ["photo"]
    assert parameters.keys() | {"photo"} == form["properties"].keys()
    for name, field in AvatarSpec.model_fields.items():
        shown = resolved(document, parameters[name]["schema"])
        in_form = resolved(document, form["properties"][name])
        description = parameters[name]["description"]
        assert description == in_form["description"]
        assert description.startswith(str(field.description))
        if not field.is_required() and field.default is not None:
            assert description.endswith(f" `{shown_default(field)}` unless given.")
        assert shown["type"] in {"string", "integer", "number", "boolean"}
        assert parameters[name]["required"] is False
    assert "anyOf" not in {*keys(operation["parameters"]), *keys(form)}  # absent, never null
    assert parameters["flip"]["schema"] == {"type": "boolean"}
    assert parameters["zoom"]["schema"] == {"type": "number", "minimum": 0.5, "maximum": 8}
    for name in ("size", "x", "y", "zoom", "rotate"):
        shown = parameters[name]["schema"]
        assert (shown["minimum"], shown["maximum"]) == field_range(name)
    schemas = document["components"]["schemas"]
    assert schemas["Shape"]["enum"] == ["square", "circle"]
    assert schemas["Format"]["enum"] == ["jpeg", "png", "webp", "avif"]


def test_no_default_is_declared(document: dict[str, Any]) -> None:
    """Generated programs would send it by themselves, against what was chosen in the other place."""
    assert "default" not in set(keys(document["paths"])) | set(keys(document["components"]))


def test_every_answer_of_an_avatar_is_described(document: dict[str, Any]) -> None:
    """Each status has its problems, each problem an example that is whole."""
    responses = document["paths"]["/v1/avatars"]["post"]["responses"]
    assert responses["200"]["content"].keys() == {
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/avif",
        "application/octet-stream",  # for programs that know no image types
    }
    assert "RFC 9651" in responses["200"]["headers"]["Ribbons-Framing"]["description"]
    problems = {status: answer for status, answer in responses.items() if status != "200"}
    assert problems.keys() == {"400", "408", "413", "415", "422", "429", "500", "503", "504"}
    by_code: dict[str, type[RibbonsError]] = {error.code: error for error in STATUSES}
    for status, answer in problems.items():
        (content,) = answer["content"].values()
        for code, example in content["examples"].items():
            value = example["value"]
            assert value["code"] == code
            assert value["status"] == int(status) == STATUSES[by_code[code]]
            assert "{" not in value["detail"]
    assert "Retry-After" in problems["503"]["headers"]


def test_every_address_of_batches_asks_for_a_key(document: dict[str, Any]) -> None:
    """In a header, as the document says of each; and what is left of a quota is told."""
    scheme = document["components"]["securitySchemes"]["partnerKey"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for path, operations_there in document["paths"].items():
        for operation in operations_there.values():
            is_for_partners = path.startswith("/v1/batches")
            assert operation.get("security", []) == ([{"partnerKey": []}] if is_for_partners else [])
            if is_for_partners:
                assert operation["tags"] == ["batches"]
                assert "401" in operation["responses"]
                done = next(answer for status, answer in operation["responses"].items() if status < "300")
                assert "RateLimit" in done["headers"]


def test_what_is_sent_to_batches_is_described(document: dict[str, Any]) -> None:
    """The spec's fields are those of an avatar; photos, ZIPs and tables are bodies as they are."""
    schemas = document["components"]["schemas"]
    assert schemas["Spec"]["properties"].keys() == AvatarSpec.model_fields.keys()
    assert schemas["NewBatch"]["properties"].keys() == {"spec", "expected", "webhook", "name"}
    assert schemas["NewFraming"]["properties"].keys() == {"x", "y", "zoom", "rotate", "flip", "faces"}
    for schema in ("Spec", "NewBatch", "NewFraming", "NewDownload"):
        assert schemas[schema]["additionalProperties"] is False
        assert "required" not in schemas[schema]
    for path in ("photos/{name}", "archive", "table"):
        body = document["paths"][f"/v1/batches/{{batch}}/{path}"]["put"]["requestBody"]
        assert body["required"]
        assert "application/octet-stream" in body["content"]


# What no operation of the API answers with by itself.
NOT_OF_AN_OPERATION = {
    "method_not_allowed": "the answer to an operation that does not exist",
    "address_not_encoded": "of no operation: what is no HTTP, whatever it was meant for",
    "address_too_long": "the same",
    "headers_too_large": "the same",
    "result_gone": "of the pages only",
    "entry_not_supported": "of a file in a ZIP, told in the answer to that",
    "name_repeated": "the same",
    "invalid_row": "of a row of a table, told in the answer to that",
    "photo_unreadable": "of a file of the command line's",
    "invalid_frame": "a frame's fault ends the start; what is found later is told as an internal error",
}


def test_every_error_is_in_the_document(document: dict[str, Any]) -> None:
    """A new error is described where it may come, with an example; or it is said why nowhere."""
    told = {
        code
        for path in document["paths"].values()
        for operation in path.values()
        for answer in operation["responses"].values()
        for content in answer.get("content", {}).values()
        for code in content.get("examples", {})
    }
    assert told | NOT_OF_AN_OPERATION.keys() == {error.code for error in STATUSES}
    assert not told & NOT_OF_AN_OPERATION.keys()


class _Loads(HTMLParser):
    """Collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag != "a":
            wanted = ("src", "href", "spec-url")
            self.addresses += [address for name in wanted if (address := given.get(name))]
        self.inline += tag == "script" and "src" not in given
        self.inline += sum(name.startswith("on") for name in given)


def test_the_page_loads_nothing_from_another_origin(client: TestClient) -> None:
    """Everything is ours, everything is there, and the browser is told to load nothing else."""
    response = client.get("/docs")
    loads = _Loads()
    loads.feed(response.text)
    assert loads.inline == 0
    assert "/openapi.json" in loads.addresses
    for address in loads.addresses:
        if address != "data:,":
            assert re.match(r"/[a-z]", address)
            assert client.get(address).status_code == 200
    assert 'load-fonts="false"' in response.text
    # What is tried out there is asked from where the page is, whatever address the document names first.
    assert 'server-url="/"' in response.text
    assert 'default-api-server="/"' in response.text
    policy = response.headers["content-security-policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["connect-src"] == "'self'"
    assert "http" not in policy
    assert "*" not in policy


def test_the_description_can_be_left_out(client: TestClient) -> None:
    """With ``docs`` off nothing of it is served, and nothing leads there; the API and the pages are."""
    app = create_app(load_settings(docs=False))
    bare = TestClient(app)
    for path in ("/docs", "/openapi.json", "/static/docs/index.html"):
        assert client.get(path).status_code == 200
        assert bare.get(path).status_code == 404
    for path in ("/v1/frames", "/"):
        assert bare.get(path).status_code == 200
    assert 'href="/docs"' in client.get("/").text
    assert 'href="/docs"' not in bare.get("/").text

"""The OpenAPI document says all that a client's author has to know, and its examples run as they stand."""

from __future__ import annotations

import builtins
import json
import keyword
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.routing import iter_route_contexts

from diffusionapi.main import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.testclient import TestClient

    from diffusionapi.settings import Settings

Json = dict[str, Any]

HIDDEN = {
    ("GET", "/"),
    ("GET", "/docs"),
    ("GET", "/docs/oauth2-redirect"),
    ("GET", "/openapi.json"),
    ("GET", "/openapi.yml"),
    ("GET", "/redoc"),
}
"""What people and browsers ask for, not clients. Besides these every HEAD is hidden."""

SUBMITS = ["POST /txt2img", "POST /img2img", "POST /inpaint", "POST /upscale", "POST /training"]
"""Requests whose examples are jobs here; those of other dialects run in their own tests."""

_BOUNDS = ({"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"})


@dataclass(frozen=True)
class Document:
    """Failures name the place they are about: `POST /txt2img`, `Txt2ImgRequest.steps`."""

    json: Json

    @property
    def operations(self) -> dict[str, Json]:
        return {
            f"{method.upper()} {path}": operation
            for path, item in self.json["paths"].items()
            for method, operation in item.items()
        }

    @property
    def bodies(self) -> dict[str, list[Json]]:
        """Operations that take JSON, and the models that it may be of."""
        return {
            name: [self.resolve(one) for one in content["schema"].get("oneOf", [content["schema"]])]
            for name, content in self._contents("application/json")
        }

    @property
    def examples(self) -> dict[str, list[Json]]:
        """The examples of each body, wherever the document keeps them."""
        return {
            name: [
                *(one for place in (*self.bodies[name], content) if (one := place.get("example"))),
                *(one for model in self.bodies[name] for one in model.get("examples", [])),
                *(one["value"] for one in content.get("examples", {}).values()),
            ]
            for name, content in self._contents("application/json")
        }

    def _contents(self, kind: str = "") -> Iterator[tuple[str, Json]]:
        """What operations take, of one media type or of any."""
        for name, operation in self.operations.items():
            for one, content in operation.get("requestBody", {"content": {}})["content"].items():
                if kind in (one, ""):
                    yield name, content

    @property
    def responses(self) -> dict[str, Json]:
        return {
            f"{name} -> {status}": response
            for name, operation in self.operations.items()
            for status, response in operation["responses"].items()
        }

    @property
    def fields(self) -> dict[str, tuple[Json, bool]]:
        """Every field of every request body, of the models inside it too, and whether it is required."""
        models: dict[str, Json] = {}
        for name, content in self._contents():
            models |= self._models(content["schema"], name)
        return {
            f"{model}.{field}": (schema, field in models[model].get("required", []))
            for model in models
            for field, schema in models[model]["properties"].items()
        }

    @property
    def parameters(self) -> dict[str, Json]:
        return {
            f"{name} ?{parameter['name']}": parameter
            for name, operation in self.operations.items()
            for parameter in operation.get("parameters", [])
        }

    def resolve(self, schema: Json) -> Json:
        """What a schema says, wherever it is written."""
        if "$ref" not in schema:
            return schema
        found: Json = self.json["components"]["schemas"][_name(schema)]
        return found

    def _models(self, schema: Json, name: str) -> dict[str, Json]:
        """Those in a schema, by their names; one without goes by the name given."""
        found: dict[str, Json] = {}
        if "$ref" in schema:
            name, schema = _name(schema), self.resolve(schema)
        if "properties" in schema:
            found[name] = schema
        for inside in _inside(schema):
            found |= self._models(inside, name)
        return found


def _name(reference: Json) -> str:
    return str(reference["$ref"]).removeprefix("#/components/schemas/")


def _inside(schema: Json) -> Iterator[Json]:
    yield from schema.get("properties", {}).values()
    yield from (one for key in ("anyOf", "oneOf", "allOf") for one in schema.get(key, []))
    yield from (schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict))


def _numbers(schema: Json) -> Iterator[Json]:
    if schema.get("type") in ("integer", "number"):
        yield schema
    for inside in _inside(schema):
        yield from _numbers(inside)


def _may_be_null(schema: Json) -> bool:
    return {"type": "null"} in schema.get("anyOf", [])


@pytest.fixture
def document(settings: Settings) -> Document:
    return Document(create_app(settings).openapi())


def test_every_request_body_has_examples_with_fields_of_its_model(document: Document) -> None:
    assert document.bodies
    assert [name for name, examples in document.examples.items() if not examples] == []
    for name, examples in document.examples.items():
        for example in examples:
            assert any(set(example) <= set(model["properties"]) for model in document.bodies[name]), name


@pytest.mark.parametrize("operation", SUBMITS)
def test_examples_of_requests_give_what_they_ask_for(
    client: TestClient, document: Document, operation: str
) -> None:
    for example in document.examples[operation]:
        submitted = client.post(operation.removeprefix("POST "), json=example)
        assert submitted.status_code == 200, submitted.text
        finished = client.get(f"/queue/{submitted.json()['job_id']}", params={"wait": 60}).json()

        assert finished["state"] == "done"
        told = finished if "lora" in finished else finished.get("sampling", {})
        assert told.get("notices", []) == []
        pictures = ("image", "images", "mask")
        kept = {name: finished["payload"][name] for name in example if name not in pictures}
        assert kept == {name: value for name, value in example.items() if name in kept}


def test_the_example_of_img_info_is_answered(client: TestClient, document: Document) -> None:
    for example in document.examples["POST /img-info"]:
        assert client.post("/img-info", json=example).json()["status"] == "success"


def test_no_request_body_of_the_primary_api_is_left_out_of_the_examples_that_run(document: Document) -> None:
    primary = {name for name in document.bodies if document.operations[name]["tags"] == ["primary"]}
    assert primary == {*SUBMITS, "POST /img-info"}, "let the tests above run the examples of the new ones too"


def test_every_field_of_a_request_says_what_it_means(document: Document) -> None:
    assert [name for name, (schema, _) in document.fields.items() if not schema.get("description")] == []


def test_every_field_of_a_request_is_required_or_says_what_it_is_when_left_out(document: Document) -> None:
    """A default of null is not in the document; what it stands for is in the description."""

    def is_said(schema: Json) -> bool:
        if _may_be_null(schema):
            return bool(re.search(r"\b(default|none)\b", schema["description"]))
        return "default" in schema

    unclear = [
        name for name, (field, required) in document.fields.items() if not (required or is_said(field))
    ]
    assert unclear == []


def test_every_number_in_a_request_has_bounds(document: Document) -> None:
    numbers = {name: list(_numbers(field)) for name, (field, _) in document.fields.items()}
    numbers |= {name: list(_numbers(one["schema"])) for name, one in document.parameters.items()}
    assert "Txt2ImgRequest.steps" in numbers
    assert "HiresConfig.steps" in numbers

    open_ended = [
        name
        for name, found in numbers.items()
        for one in found
        if not all(side & set(one) for side in _BOUNDS)
    ]
    assert open_ended == []


def test_every_parameter_says_what_it_means(document: Document) -> None:
    assert document.parameters
    assert [name for name, one in document.parameters.items() if not one.get("description")] == []


def test_every_operation_has_a_summary_and_a_tag(document: Document) -> None:
    assert [name for name, one in document.operations.items() if not one.get("summary")] == []
    assert [name for name, one in document.operations.items() if not one.get("tags")] == []


def test_every_operation_id_is_unique_and_a_good_name_for_a_method_of_a_client(document: Document) -> None:
    ids = [operation["operationId"] for operation in document.operations.values()]

    assert len(ids) == len(set(ids))
    assert [one for one in ids if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", one)] == []
    assert [one for one in ids if keyword.iskeyword(one) or hasattr(builtins, one)] == []
    assert [one for one in ids if len(one) > 30 or one.endswith(("_get", "_post", "_delete"))] == []


def test_every_model_has_a_name_of_its_own(document: Document) -> None:
    """The framework tells models of one name apart by their modules; generators of clients do not."""
    schemas = document.json["components"]["schemas"]
    assert [name for name in schemas if "__" in name] == []
    refs = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document.json)))
    assert refs - set(schemas) == set()


def test_every_documented_answer_says_when_it_comes(document: Document) -> None:
    assert [name for name, one in document.responses.items() if not one.get("description")] == []


def test_every_successful_answer_in_json_has_a_model(document: Document) -> None:
    answers = {
        name: one["content"]["application/json"].get("schema")
        for name, one in document.responses.items()
        if name.endswith("00") and "application/json" in one.get("content", {})
    }
    assert "POST /txt2img -> 200" in answers
    assert [name for name, schema in answers.items() if not schema] == []


def test_no_answer_is_documented_in_the_shape_of_the_framework(document: Document) -> None:
    """A dialect has its own; nothing ever answers a `detail` that is a list."""
    schemas = {
        name: content.get("schema", {})
        for name, response in document.responses.items()
        for content in response.get("content", {}).values()
    }
    framework = {"#/components/schemas/HTTPValidationError"}
    assert [name for name, schema in schemas.items() if schema.get("$ref") in framework] == []


def test_every_route_is_documented_but_those_hidden_on_purpose(
    document: Document, settings: Settings
) -> None:
    routes = {
        (method, context.path)
        for context in iter_route_contexts(create_app(settings).routes)
        for method in context.methods or ()
        if method != "HEAD"
    }
    documented = {tuple(name.split(" ", 1)) for name in document.operations}

    assert routes - documented == HIDDEN
    assert documented - routes == set()

import json
from typing import Any

import pytest

from pipeline.registry.package import _signature
from pipeline.serving.request import MOST_IMAGES, PARAMETERS, RequestError, canonical


@pytest.mark.parametrize(
    "content",
    [
        {"dataframe_records": [{"image": "QQ=="}, {"image": "Qg==", "other": 1}]},
        {"dataframe_split": {"columns": ["other", "image"], "data": [[1, "QQ=="], [2, "Qg=="]]}},
        {"inputs": {"image": ["QQ==", "Qg=="]}},
        {"inputs": ["QQ==", "Qg=="]},
        {"instances": [{"image": "QQ=="}, {"image": "Qg=="}]},
    ],
)
def test_all_forms_become_one(content: dict[str, Any]) -> None:
    params = {"conf_threshold": 0.5, "max_detections": None}
    assert json.loads(canonical(json.dumps(content | {"params": params}).encode())) == {
        "dataframe_split": {"columns": ["image"], "data": [["QQ=="], ["Qg=="]]},
        "params": params,
    }


def records(*images: object, **more: object) -> bytes:
    return json.dumps({"dataframe_records": [{"image": each} for each in images]} | more).encode()


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"cat", 400, "^the body is not JSON .Expecting value"),
        (b"\x89PNG\xff", 400, "^the body is not JSON .it is not text.: send"),
        (b"[]", 400, "^the body must have one of dataframe_records, dataframe_split, inputs"),
        (b'{"inputs": [], "instances": []}', 400, "^the body must have one of"),
        (b'{"inputs": 5}', 400, "^inputs has no column 'image'"),
        (b'{"dataframe_split": {"columns": ["a"], "data": []}}', 400, "^dataframe_split has no"),
        (records("QQ==", 5), 400, "^row 1: image must be base64 text, not a number$"),
        (records([[[1, 2, 3]]]), 400, "^row 0: image must be base64 text, not a list$"),
        (b'{"dataframe_records": ["QQ=="]}', 400, "^row 0: image must be base64 text, not missing"),
        (records([0] * 1000), 413, "each as base64 text, not as numbers"),
        (b"[" * 100_000, 413, "^a request may have 256 images"),
        (records(*["QQ=="] * (MOST_IMAGES + 1)), 413, "^257 images; a request may have 256$"),
        (records(params=[1]), 400, "^params must be an object"),
        (records(params={"conf": 1}), 400, "^there is no parameter 'conf', only conf_threshold, "),
        (records(params={"nms_threshold": "x"}), 400, "^nms_threshold must be a number, not text$"),
        (records(params={"nms_threshold": True}), 400, "must be a number, not true or false$"),
    ],
)
def test_what_is_no_request(body: bytes, status: int, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence) as raised:
        canonical(body)
    assert raised.value.status == status


def test_most_images_pass() -> None:
    content = json.loads(canonical(records(*["QQ=="] * MOST_IMAGES)))
    assert len(content["dataframe_split"]["data"]) == MOST_IMAGES


def test_parameters_are_those_of_the_signature(pyfunc: object) -> None:
    assert sorted(each.name for each in _signature().params.params) == list(PARAMETERS)

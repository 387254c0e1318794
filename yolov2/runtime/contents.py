"""What a model file may hold: a network as this project exports it, nothing that runs code.

``torch.export.load`` unpickles sample inputs, and whatever weights and constants are marked for it,
loads compiled libraries, evaluates the texts of sizes, imports what the structure of inputs names,
and turns names into the text of a program; TorchScript and graphs call any operation that they
name, also those that write files; an ONNX graph may ask for any other file as its weights. So the
contents are read as plain data before (a torch archive by the very reader that torch loads with),
and whatever is not known here is refused.
"""

import ast
import json
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from yolov2.runtime.manifest import KEY

OPERATIONS = frozenset(
    {
        "_assert_tensor_metadata",
        "_convolution",
        "add",
        "arange",
        "cat",
        "clamp",
        "conv2d",
        "exp",
        "flatten",
        "leaky_relu",
        "max_pool2d",
        "mul",
        "permute",
        "pixel_unshuffle",
        "reshape",
        "select",
        "sigmoid",
        "size",
        "slice",
        "sym_size",
        "to",
        "unflatten",
        "unsqueeze",
        "view",
    }
)
"""What exported networks consist of; none of these touches anything but tensors."""

PROGRAM = re.compile(
    r"archive_format|archive_version|byteorder|\.data/\w+|extra/yolov2\.json|models/model\.json"
    r"|data/weights/(model_weights_config\.json|weight_\d+)"
    r"|data/constants/(model_constants_config\.json|tensor_\d+)|data/sample_inputs/model\.pt"
)
SCRIPT = re.compile(
    r"version|byteorder|\.data/\w+|extra/yolov2\.json|data\.pkl|constants\.pkl|constants/\d+"
    r"|code/__torch__/[\w/]+\.py(\.debug_pkl)?"
)
"""The files of a ``.pt2`` and of a TorchScript archive."""

PAYLOADS = {
    "data/weights/model_weights_config.json": re.compile(r"weight_\d+"),
    "data/constants/model_constants_config.json": re.compile(r"tensor_\d+"),
}
SAMPLES = "data/sample_inputs/model.pt"

NAME = re.compile(r"[\w.]*", re.ASCII)
SIZE = re.compile(
    r"((\b(Symbol|Integer|Mul|Add|Min|Max|FloorDiv|Mod|positive|nonnegative|integer|True)\b)"
    r"|'s\d+'|\bs\d+\b|\b\d{1,9}\b|\*(?!\*)|[-+(),= ])*",
    re.ASCII,
)
"""Sums and products of symbols such as ``s18``: what sympy makes of it can only be a number."""

LEAF = '{"type": null, "context": null, "children_spec": []}'
STRUCTURES = {
    "in_spec": '[1, {"type": "builtins.tuple", "context": "null", "children_spec": [{"type":'
    f' "builtins.tuple", "context": "null", "children_spec": [{LEAF}]}}, {{"type": "builtins.dict",'
    ' "context": "[]", "children_spec": []}]}]',
    "out_spec": f"[1, {LEAF}]",
}
TEXTS = {
    "target": re.compile(rf"torch\.ops\.aten\.({'|'.join(sorted(OPERATIONS))})\.\w+", re.ASCII),
    "expr_str": SIZE,
    "range_constraints": SIZE,
    "torch_version": re.compile(r"[\w.+]*", re.ASCII),
    **{name: re.compile(re.escape(text)) for name, text in STRUCTURES.items()},
    # read and never run: guards, as ``open_pt2`` leaves them out, and notes about the source
    **dict.fromkeys(("guards_code", "nn_module_stack", "torch_fn"), re.compile(r"[^\0]*")),
}
"""What the texts of a program may say, by their key; all others, and all keys, are a ``NAME``."""


def read_program(path: Path) -> str:
    """The manifest of a ``.pt2`` that may be loaded; empty, and not looked at further, without one.

    Raises:
        ForeignContentError: it holds something that no export of this project does.
        Exception: of a dozen types, where it is no such archive.
    """
    archive, manifest = _open(path, PROGRAM)
    if not manifest:
        return ""
    for config, wanted in PAYLOADS.items():
        for payload in json.loads(_text(archive, config))["config"].values():
            name = str(payload["path_name"])
            if payload["use_pickle"] is not False or not wanted.fullmatch(name):
                raise _refused(path, f"a pickle for a tensor ({name[:80]})")
    for key, text in _texts(json.loads(_text(archive, "models/model.json"))):
        if not TEXTS.get(key, NAME).fullmatch(text):
            raise _refused(path, f"'{text[:80]}' as {key}")
    samples = archive.get_record(SAMPLES)
    try:
        if samples:
            torch.load(BytesIO(samples), map_location="cpu", weights_only=True)
    except Exception:
        # where this fails, torch.export.load goes on to unpickle without any restriction
        raise _refused(path, "sample inputs that are not plain tensors") from None
    return manifest


def read_script(path: Path) -> str:
    """The manifest of a TorchScript archive, as ``read_program``.

    Raises:
        ForeignContentError: it calls what no export of this project does.
        Exception: of a dozen types, where it is no such archive.
    """
    archive, manifest = _open(path, SCRIPT)
    if not manifest:
        return ""
    known = {f"torch.{name}" for name in OPERATIONS | {"device"}}
    for name in archive.get_all_records():
        if name.endswith(".py"):
            for node in ast.walk(ast.parse(_text(archive, name))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) not in known:
                    raise _refused(path, f"a call of '{ast.unparse(node.func)[:80]}'")
    return manifest


def require_single_file(path: Path) -> None:
    """Read an ONNX graph without opening any other file that it names.

    Raises:
        ForeignContentError: it keeps a tensor in another file.
        google.protobuf.message.DecodeError: it is no ONNX graph.
    """
    import onnx

    for name in _elsewhere(onnx.load(path, load_external_data=False)):
        raise _refused(path, f"the tensor '{name[:80]}' in another file")


def _elsewhere(message: Any) -> Iterator[str]:
    """Names of the tensors, at any depth, whose values are not in the message itself."""
    if message.DESCRIPTOR.full_name == "onnx.TensorProto":
        if message.data_location or message.external_data:
            yield str(message.name)
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _elsewhere(part)


def _open(path: Path, files: re.Pattern[str]) -> tuple[torch._C.PyTorchFileReader, str]:
    """The archive, which holds only ``files`` if it has a manifest, and that; else an empty one."""
    archive = torch._C.PyTorchFileReader(str(path))
    names = archive.get_all_records()
    if f"extra/{KEY}" not in names:
        return archive, ""
    unknown = [name for name in names if not files.fullmatch(name) or names.count(name) > 1]
    if unknown:
        raise _refused(path, f"the file '{unknown[0][:80]}'")
    return archive, _text(archive, f"extra/{KEY}")


def _text(archive: torch._C.PyTorchFileReader, name: str) -> str:
    return archive.get_record(name).decode("utf-8")


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a JSON value with its key, and every key: as a name, or by where it stands."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield (key if key == "range_constraints" else "a name"), name
            yield from _texts(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part, key)
    elif isinstance(value, str):
        yield key, value


class ForeignContentError(ValueError):
    """A model file that holds what could run code; the text names the file and the thing."""


def _refused(path: Path, what: str) -> ForeignContentError:
    shown = "".join(each if each.isprintable() else "?" for each in what)
    return ForeignContentError(
        f"{path} is refused, and nothing of it was run: it holds {shown}, which `yolov2 export`"
        " never writes and which could run code or read other files; export its checkpoint again"
    )

"""Files from strangers: none that we open may run code, write, or have another file opened.

That the attacks work where torch is asked plainly is shown beside them, or in a slow test.
"""

import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from tests.datasets import picture, write_dataset
from yolov2.cli import main
from yolov2.data.description import read_description
from yolov2.data.images.disk_cache import Disk
from yolov2.data.images.pixels import read_pixels
from yolov2.data.table import IMAGES_FILE, LabelTables
from yolov2.evaluation.detections_file import read_detections
from yolov2.runtime.graphs import torchscript_allowed
from yolov2.runtime.manifest import KEY
from yolov2.runtime.model_file import open_model
from yolov2.runtime.thresholds import read_thresholds

MODEL, SAMPLES = "models/model.json", "data/sample_inputs/model.pt"
WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.marker),)


def saved(content: object) -> bytes:
    stream = BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """What an attack that succeeds leaves behind."""
    return tmp_path / "marker"


Files = dict[str, bytes]


def rewrite(source: Path, target: Path, change: Callable[[Files], None]) -> None:
    """The archive ``source`` with other files in it."""
    with zipfile.ZipFile(source) as archive:
        names = {name.partition("/")[2]: name for name in archive.namelist()}
        files = {name: archive.read(whole) for name, whole in names.items()}
    change(files)
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"archive/{name}", content)


def in_json(files: Files, name: str, change: Callable[[Any], None]) -> None:
    content = json.loads(files[name])
    change(content)
    files[name] = json.dumps(content).encode()


def sample_inputs(files: Files, marker: Path) -> None:
    files[SAMPLES] = saved(((Evil(marker),), {}))


def weight_marked_for_pickle(files: Files, marker: Path) -> None:
    in_json(files, WEIGHTS, lambda it: next(iter(it["config"].values())).update(use_pickle=True))
    files["data/weights/weight_0"] = saved(Evil(marker))


def constant_marked_for_pickle(files: Files, marker: Path) -> None:
    in_json(files, CONSTANTS, lambda it: next(iter(it["config"].values())).update(use_pickle=True))
    files["data/constants/tensor_0"] = saved(Evil(marker))


def opaque_constant(files: Files, marker: Path) -> None:
    def change(it: Any) -> None:
        next(iter(it["config"].values())).update(path_name="opaque_obj_0", use_pickle=True)

    in_json(files, CONSTANTS, change)
    files["data/constants/opaque_obj_0"] = pickle.dumps(Evil(marker))


def weights_of_an_earlier_form(files: Files, marker: Path) -> None:
    files["data/weights/model.pt"] = saved(Evil(marker))


def size_that_is_code(files: Files, marker: Path) -> None:
    text = f"__import__('os').mkdir('{marker}')"
    files[MODEL] = files[MODEL].replace(
        b'"expr_str": "Symbol(\'', f'"expr_str": "{text} or Symbol(\''.encode(), 1
    )


def guard_that_is_code(files: Files, marker: Path) -> None:
    text = f"__import__('os').mkdir('{marker}') is None"
    in_json(files, MODEL, lambda it: it["guards_code"].append(text))


def operation_on_files(files: Files, marker: Path) -> None:
    arguments = [
        {"name": "filename", "arg": {"as_string": str(marker)}, "kind": 1},
        {"name": "shared", "arg": {"as_bool": True}, "kind": 1},
        {"name": "size", "arg": {"as_int": 4}, "kind": 1},
    ]
    node = {
        "target": "torch.ops.aten.from_file.default",
        "inputs": arguments,
        "outputs": [{"as_tensor": {"name": "made"}}],
        "metadata": {},
        "is_hop_single_tensor_return": None,
        "name": "made",
    }

    def change(it: Any) -> None:
        graph = it["graph_module"]["graph"]
        graph["nodes"].insert(0, node)
        graph["tensor_values"]["made"] = graph["tensor_values"]["images"]

    in_json(files, MODEL, change)


def name_that_is_code(files: Files, marker: Path) -> None:
    """The input's: torch writes it into the head of a function that it runs."""
    content = json.loads(files[MODEL])
    graph = content["graph_module"]["graph"]
    other = graph["inputs"][0]["as_tensor"]["name"]
    nodes = json.loads(json.dumps(graph["nodes"]).replace('"images"', f'"{other}"'))
    graph["nodes"] = []
    text = json.dumps(content).replace('"images"', f"\"x=__import__('os').mkdir('{marker}')\"")
    content = json.loads(text)
    content["graph_module"]["graph"]["nodes"] = nodes
    files[MODEL] = json.dumps(content).encode()


def structure_that_imports(files: Files, marker: Path) -> None:
    (marker.parent / "evil_module.py").write_text(f"import os\nos.mkdir({str(marker)!r})\n")
    context = {
        "default_factory_module": "evil_module",
        "default_factory_name": "x",
        "dict_context": [],
    }
    spec = {"type": "collections.defaultdict", "context": context, "children_spec": []}

    def change(it: Any) -> None:
        signature = it["graph_module"]["module_call_graph"][0]["signature"]
        signature["out_spec"] = json.dumps([1, spec])

    in_json(files, MODEL, change)


ATTACKS = {
    sample_inputs: "sample inputs that are not plain tensors",
    weight_marked_for_pickle: r"a pickle for a tensor \(weight_0\)",
    constant_marked_for_pickle: r"a pickle for a tensor \(tensor_0\)",
    opaque_constant: "the file 'data/constants/opaque_obj_0'",
    weights_of_an_earlier_form: "the file 'data/weights/model.pt'",
    size_that_is_code: "'__import__",
    operation_on_files: "'torch.ops.aten.from_file.default' as target",
    name_that_is_code: "'x=__import__.* as name",
    structure_that_imports: ".*defaultdict.* as out_spec",
}
REFUSED = "is refused, and nothing of it was run: it holds"


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_programs_that_run_code_are_refused(
    graphs: Path, tmp_path: Path, marker: Path, attack: Callable[[Files, Path], None]
) -> None:
    path = tmp_path / "x.pt2"
    rewrite(graphs / "model.pt2", path, lambda files: attack(files, marker))
    with pytest.raises(ValueError, match=f"^{path} {REFUSED} {ATTACKS[attack]}") as error:
        open_model(path, "cpu")
    assert "\n" not in str(error.value)
    assert not marker.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "attack", [*ATTACKS, guard_that_is_code], ids=lambda attack: attack.__name__
)
@pytest.mark.filterwarnings("ignore")
def test_the_attacks_on_programs_work_on_torch(
    graphs: Path,
    tmp_path: Path,
    marker: Path,
    monkeypatch: pytest.MonkeyPatch,
    attack: Callable[[Files, Path], None],
) -> None:
    """Else the tests above could not fail."""
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "x.pt2"
    rewrite(graphs / "model.pt2", path, lambda files: attack(files, marker))
    sys.modules.pop("evil_module", None)
    with suppress(Exception):
        torch.export.load(path).module()(torch.zeros(2, 3, 64, 96))
    assert marker.exists()


@pytest.mark.filterwarnings("ignore")
def test_guards_of_a_program_are_not_run(graphs: Path, tmp_path: Path, marker: Path) -> None:
    path = tmp_path / "x.pt2"
    rewrite(graphs / "model.pt2", path, lambda files: guard_that_is_code(files, marker))
    found = open_model(path, "cpu").predict(torch.zeros(1, 3, 64, 64))
    assert torch.equal(found, open_model(graphs / "model.pt2").predict(torch.zeros(1, 3, 64, 64)))
    assert not marker.exists()


@pytest.mark.parametrize(
    "name", ["data/aotinductor/model/x.so", "models/other.json", "MODELS/MODEL.JSON"]
)
def test_programs_hold_no_other_files(graphs: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.pt2"
    rewrite(graphs / "model.pt2", path, lambda files: files.update({name: b"{}"}))
    with pytest.raises(ValueError, match=f"{REFUSED} the file '{name}', which"):
        open_model(path, "cpu")


def test_programs_of_an_earlier_form_are_refused(tmp_path: Path, marker: Path) -> None:
    """Torch still reads what its first versions wrote: pickles, in an archive without folders."""
    path = tmp_path / "x.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("version", "8.20")
        archive.writestr("serialized_exported_program.json", "{}")
        for name in ("state_dict", "constants", "example_inputs"):
            archive.writestr(f"serialized_{name}.pt", saved(Evil(marker)))
        archive.writestr(f"extra_files/{KEY}", "{}")
    with pytest.raises(ValueError, match=r"x\.pt2 is no program of torch\.export \(RuntimeError: "):
        open_model(path, "cpu")
    assert not marker.exists()


def test_the_commands_refuse_them_in_one_line(
    graphs: Path, tmp_path: Path, marker: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.pt2"
    rewrite(graphs / "model.pt2", path, lambda files: sample_inputs(files, marker))
    data = write_dataset(tmp_path / "data", {"val": {"a": "0 .5 .5 .2 .2"}}, names="[cat, dog]")
    out, image = str(tmp_path / "out"), str(tmp_path / "data/images/val/a.jpg")
    for command in (
        ["detect", "--weights", str(path), "--source", image, "--output-dir", out],
        [
            "evaluate",
            "--weights",
            str(path),
            "--data",
            str(data),
            "--split",
            "val",
            "--save-dir",
            out,
        ],
    ):
        assert main(command) != 0, command
        said = capsys.readouterr().err
        assert f"{path} {REFUSED} sample inputs" in said, command
        assert "Traceback" not in said
    assert not marker.exists()


class WritesWhenRun(nn.Module):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, images: Tensor) -> Tensor:
        return images + torch.from_file(self.path, True, 1)


class WritesWhenLoaded(nn.Module):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.made = torch.zeros(1)

    def forward(self, images: Tensor) -> Tensor:
        return images

    @torch.jit.export
    def __getstate__(self) -> str:
        return self.path

    @torch.jit.export
    def __setstate__(self, state: str) -> None:
        self.path = state
        self.training = False
        self.made = torch.from_file(state, True, 1)


@pytest.mark.parametrize("kind", [WritesWhenRun, WritesWhenLoaded])
def test_torchscript_that_writes_files_is_refused(
    graphs: Path, tmp_path: Path, marker: Path, kind: Callable[[str], nn.Module]
) -> None:
    path = tmp_path / "x.torchscript"
    manifest = open_model(graphs / "model.torchscript").manifest.to_json()
    with torchscript_allowed():
        script = torch.jit.script(kind(str(marker)))
        torch.jit.save(script, path, _extra_files={KEY: manifest.encode()})
    marker.unlink(missing_ok=True)
    with pytest.raises(ValueError, match=f"^{path} {REFUSED} a call of "):
        open_model(path, "cpu")
    assert not marker.exists()
    with torchscript_allowed():
        torch.jit.load(path)(torch.zeros(1))
    assert marker.exists(), "else this test could not fail"


def test_torchscript_of_the_first_form_is_refused(graphs: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.torchscript"
    rewrite(graphs / "model.torchscript", path, lambda files: files.update({"model.json": b"{}"}))
    with pytest.raises(ValueError, match=f"^{path} {REFUSED} the file 'model.json', which"):
        open_model(path, "cpu")


@pytest.mark.parametrize("place", ["alone", "beside the weights"])
def test_checkpoints_are_not_unpickled(
    graphs: Path, tmp_path: Path, marker: Path, place: str
) -> None:
    path = tmp_path / "x.pt"
    good = torch.load(graphs / "best.pt", weights_only=True)
    torch.save(Evil(marker) if place == "alone" else good | {"epoch": Evil(marker)}, path)
    with pytest.raises(ValueError, match=f"^{path} is no readable checkpoint: damaged, or not"):
        open_model(path, "cpu")
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists(), "else this test could not fail"


@pytest.mark.parametrize("place", ["weights", "constant", "branch"])
@pytest.mark.parametrize("location", ["beside.bin", "../secret.bin", "/etc/hostname"])
def test_onnx_graphs_open_no_other_file(
    graphs: Path, tmp_path: Path, place: str, location: str
) -> None:
    model = onnx.load(graphs / "model.onnx")
    tensor = model.graph.initializer[0]
    if place != "weights":
        tensor = onnx.TensorProto(name="hidden", data_type=1, dims=[1])
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    constant = onnx.helper.make_node("Constant", [], ["hidden"], value=tensor)
    branch = onnx.helper.make_graph([constant], "branch", [], [])
    if place == "constant":
        model.graph.node.append(constant)
    if place == "branch":
        node = onnx.helper.make_node("If", ["yes"], ["no"], then_branch=branch, else_branch=branch)
        model.graph.node.append(node)
    path = tmp_path / "x.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=f"^{path} {REFUSED} the tensor '.*' in another file, wh"):
        open_model(path, "cpu")


def extension(marker: Path) -> dict[str, bytes]:
    """What pyarrow unpickled on reading, until 14.0.1."""
    return {
        "ARROW:extension:name": b"arrow.py_extension_type",
        "ARROW:extension:metadata": pickle.dumps(Evil(marker)),
    }


@pytest.mark.filterwarnings("ignore:pickle-based deserialization:RuntimeWarning")
def test_parquet_is_not_unpickled(tmp_path: Path, marker: Path) -> None:
    schema = pa.schema([pa.field("image_id", pa.int64(), metadata=extension(marker))])
    table = pa.table([pa.array([1])], schema=schema)
    for name in ("x.parquet", IMAGES_FILE):
        pq.write_table(table, tmp_path / name)
    with pytest.raises(ValueError, match=r"x\.parquet: not detections of `yolov2 evaluate`"):
        read_detections(tmp_path / "x.parquet")
    (tmp_path / "dataset.json").write_text('{"class_names": ["cat"]}')
    with pytest.raises(ValueError, match=r"^the label table in .* cannot be read \(images\.parq"):
        LabelTables.read(tmp_path)
    assert not marker.exists()


def test_yaml_makes_no_objects(tmp_path: Path, marker: Path) -> None:
    data = write_dataset(tmp_path, {"train": {"a": ""}})
    data.write_text(f"names: !!python/object/apply:os.mkdir ['{marker}']\ntrain: images/train\n")
    with pytest.raises(ValueError, match=f"^{data}") as error:
        read_description(data)
    assert "python/object/apply:os.mkdir" in str(error.value)
    assert not marker.exists()


def test_json_without_end_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "thresholds.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="holds no thresholds as `yolov2 evaluate"):
        read_thresholds(tmp_path / "thresholds.json")


@pytest.mark.parametrize(
    "pixels",
    [
        np.array([-3, -3], "<i8").tobytes() + bytes(27),
        np.array([2**62, 2**62], "<i8").tobytes() + bytes(27),
        pickle.dumps("pixels"),
        b"",
    ],
    ids=["negative", "absurd", "pickle", "empty"],
)
def test_a_foreign_file_in_the_cache_is_made_anew(tmp_path: Path, pixels: bytes) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(picture(5, 3, "PNG"))
    cache = Disk([image], [(3, 5)], ["md5"], tmp_path / "cache", print)
    cache(0)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:32] + pixels)  # after what stands for the image
    np.testing.assert_array_equal(cache(0), read_pixels(image))

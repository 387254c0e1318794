"""What the tests of tracking, registry and promotion share: reports, identities, small models."""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from io import BytesIO
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline import paths
from pipeline.params.tracking import TrackingConfig
from pipeline.running.entry import run_stage
from pipeline.tracking.connection import connect
from pipeline.tracking.delivery import Delivery
from pipeline.tracking.runs import log_evaluation, open_training_run
from pipeline.tracking.store import Store
from pipeline.workspace.identity import RunIdentity
from yolov2.evaluation.figures import flat_metrics

CONFIG = TrackingConfig(experiment="trial", model_name="trial-model")
HOST = os.uname().nodename
KEY = "0123456789abcdef" * 4
TEST_DIGEST = "c" * 64
DIGEST = {"train": "a" * 64, "val": "b" * 64, "test": TEST_DIGEST, "all": "d" * 64}
PARAMETERS: dict[str, Any] = {
    "data": {"config": "data/digits/digits.yaml", "root": "."},
    "model": {"image_size": 64, "width": 0.05},
    "train": {"lr": 0.01, "lr_steps": (2, 3), "loss": {"lambda_coord": 5.0}, "device": "auto"},
    "evaluate": {"split": "test", "conf_threshold": 0.001},
    "schedule": {"cron": "0 3 * * 1"},
}


def identity(**changes: Any) -> RunIdentity:
    about: dict[str, Any] = {
        "git_commit": "1" * 40,
        "data_digest": DIGEST,
        "data": {"splits": {"test": {"images": 7, "boxes": 9}}},
        "command": "python -m pipeline.train",
    }
    return RunIdentity(**(about | changes))


def leave_tables(folder: Path, losses: Sequence[float]) -> Path:
    """The tables of a training that has these losses: an epoch each, of two steps each.

    The AP of epoch e is e/10; the loss of each step is that of its epoch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    terms = "0.25,0.5,0.125"
    history = ["epoch,step,lr,loss,coord,objectness,class,collisions,AP,AP50"]
    speed = ["epoch,seconds,images_per_second,data_wait,flop_utilisation,memory_gib"]
    steps = ["step,epoch,lr,loss,coord,objectness,class"]
    for epoch, loss in enumerate(losses, start=1):
        score = f"{epoch / 10},{epoch / 5}"
        history.append(f"{epoch},{2 * epoch},0.01,{loss},{terms},0,{score}")
        speed.append(f"{epoch},2.0,100.0,0.25,0.5,0.0")
        for step in (2 * epoch - 1, 2 * epoch):
            steps.append(f"{step},{step / 2},0.01,{loss},{terms}")
    for name, lines in (("history", history), ("speed", speed), ("steps", steps)):
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


def open_store() -> Store:
    return connect(CONFIG.experiment)


def runs(store: Store, stage: str) -> list[Any]:
    """Runs of a stage, oldest first."""
    wanted = f"tags.stage = '{stage}'"
    found = store.client.search_runs([store.experiment_id], wanted, order_by=["start_time ASC"])
    return list(found)


def files(store: Store, run_id: str, folder: str | None = None) -> set[str]:
    """Paths of all files of a run."""
    result: set[str] = set()
    for item in store.client.list_artifacts(run_id, folder):
        result |= files(store, run_id, item.path) if item.is_dir else {item.path}
    return result


def curve(store: Store, run_id: str, name: str) -> list[tuple[int, float]]:
    return [(m.step, m.value) for m in store.client.get_metric_history(run_id, name)]


def png(red: int, width: int = 128, height: int = 64) -> bytes:
    """A one-coloured picture as the bytes of its file."""
    file = BytesIO()
    Image.new("RGB", (width, height), (red, 0, 0)).save(file, "PNG")
    return file.getvalue()


def write_graph(path: Path, scale: float = 1.0, *, side: int = 64) -> None:
    """A detector in a few ONNX nodes, whose answer can be worked out by hand.

    The boxes of ``GRAPH_ROWS`` whatever the image shows; the mean of its red channel is their
    objectness. ``scale`` makes other graphs of the same form.
    """
    from onnx import TensorProto, checker, helper, numpy_helper, save

    from yolov2.runtime.manifest import INPUT, OUTPUT, Manifest
    from yolov2.runtime.manifest import KEY as MANIFEST

    rows = np.array(GRAPH_ROWS, dtype=np.float32)  # (N, 5+C)
    rows[:, 5:] *= scale
    objectness = np.zeros((1, 1, rows.shape[1]), dtype=np.float32)
    objectness[..., 4] = 1.0
    fixed = rows.copy()
    fixed[:, 4] = 0.0
    constants = {
        "fixed": fixed[None],
        "objectness": objectness,
        "first": np.array([0], dtype=np.int64),
        "end": np.array([1], dtype=np.int64),
        "channel": np.array([1], dtype=np.int64),
        "all": np.array([1, 2, 3], dtype=np.int64),
        "place": np.array([1, 2], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Slice", [INPUT, "first", "end", "channel"], ["red"]),
        helper.make_node("ReduceMean", ["red", "all"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "place"], ["score"]),
        helper.make_node("Mul", ["score", "objectness"], ["scored"]),
        helper.make_node("Add", ["scored", "fixed"], [OUTPUT]),
    ]
    graph = helper.make_graph(
        nodes,
        "boxes",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", 3, side, side])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", *rows.shape])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    manifest = Manifest(
        class_names=("cat", "dog", "owl"),
        anchors=((1.0, 1.0),),
        image_size=side,
        conf_threshold=0.5,
        nms_threshold=0.5,
    )
    helper.set_model_props(model, {MANIFEST: manifest.to_json()})
    checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    save(model, path)


GRAPH_ROWS = (
    # cx, cy, w, h on a canvas of 64 pixels; objectness (replaced); cat, dog, owl
    (20.0, 24.0, 16.0, 16.0, 0.0, 0.90, 0.10, 0.00),
    (21.0, 24.0, 16.0, 16.0, 0.0, 0.80, 0.20, 0.00),  # IoU 15/17 with the first, same class
    (20.0, 24.0, 16.0, 16.0, 0.0, 0.10, 0.70, 0.00),  # the first one's place, another class
    (44.0, 40.0, 8.0, 16.0, 0.0, 0.00, 0.10, 0.60),
)


SCORES = {
    "AP": 0.5,
    "AP50": 0.75,
    "split": "test",
    "images": 7,
    "boxes": 9,
    "per_class": {"cat": {"AP": 0.25}},
}


def write_json(path: Path, **content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def leave_result(root: Path, *, scale: float = 1.0, train: bool = True) -> Path:
    """Write what a pipeline run leaves, its runs logged; without ``train`` of the same training."""
    write_graph(root / paths.ONNX, scale)
    digest = sha256(root / paths.ONNX)
    graph = {"sha256": digest, "bytes": (root / paths.ONNX).stat().st_size}
    latency = {"onnx": 1.5, "threads": 2}
    write_json(root / paths.EXPORT, artefacts={"onnx": graph}, latency_ms=latency)
    (root / paths.BEST).write_bytes(b"weights")
    write_json(root / paths.THRESHOLDS, weights=sha256(root / paths.BEST), classes={})
    write_json(root / paths.VALIDATION, passed=True, digest=DIGEST)
    write_json(root / paths.DATASET, digest=DIGEST, class_names=["cat", "dog", "owl"])
    training = {"key": KEY, "weights": "f" * 64, "data": DIGEST, "parameters": PARAMETERS}
    write_json(root / paths.TRAINING, **training)
    if train:
        with open_training_run(
            CONFIG, parameters=PARAMETERS, key=KEY, run_id=None, identity=identity()
        ) as run:
            run.log_tables(leave_tables(root / "run", [2.0]))
    leave_evaluation(root, SCORES)
    return root


def leave_evaluation(root: Path, scores: Mapping[str, Any]) -> str:
    """Write the metrics of an evaluation of the training that lies there; its run's id."""
    write_json(root / paths.METRICS, **scores)
    split = {"split": str(scores["split"])}
    return log_evaluation(
        CONFIG,
        training_run=json.loads((root / paths.TRAINING).read_text()),
        parameters=PARAMETERS | {"evaluate": PARAMETERS["evaluate"] | split},
        metrics=flat_metrics(scores),
        artifacts=[],
        identity=identity(),
        tags={"result": sha256(root / paths.METRICS)},
    )


def processes() -> ForkServerContext:
    """Processes that find MLflow imported already, which takes seconds."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["mlflow", "tests.pipeline.tracked"])
    return context


def first_connect(folder: str) -> str:
    """Open the store in ``folder``; the id of its experiment."""
    os.chdir(folder)
    return open_store().experiment_id


def train_much(folder: str) -> str:
    """A training of 3,000 parameters and 300 steps, in its own folder of tables; its run id."""
    own = Path(folder) / f"tables-{os.getpid()}"
    own.mkdir()
    os.chdir(folder)
    key = f"{os.getpid():064d}"
    parameters = {"many": {f"p{i}": f"{os.getpid()} {i}" for i in range(3000)}}
    with open_training_run(
        CONFIG, parameters=parameters, key=key, run_id=None, identity=identity()
    ) as run:
        Delivery(run, leave_tables(own, [1 / (1 + i) for i in range(150)]), pause=0.0).finish()
    return run.run_id


def train_for_ever(folder: str, started: Connection) -> None:
    """A stage that trains until it is killed; sends its run id."""

    def main() -> None:
        with open_training_run(
            CONFIG, parameters=PARAMETERS, key=KEY, run_id=None, identity=identity()
        ) as run:
            started.send(run.run_id)
            time.sleep(120)

    os.chdir(folder)
    run_stage(main)

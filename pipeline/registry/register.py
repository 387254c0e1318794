"""The pipeline's result becomes a version of the model, under the alias ``challenger``.

The version is servable without torch and says on which data it scored what. The hash of the
exported graph identifies it: the same graph is registered once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.params.tracking import TrackingConfig
from pipeline.registry.models import CHALLENGER, PASSED, PROVEN, Registry, Version
from pipeline.running.files import read_json
from pipeline.tracking.connection import connect
from pipeline.tracking.follow import follow
from pipeline.tracking.marks import split_tags
from pipeline.tracking.recordings import send_pending
from pipeline.tracking.runs import log_evaluation, resolve_training_run
from pipeline.workspace.identity import RunIdentity, collect_identity
from yolov2.evaluation.figures import flat_metrics
from yolov2.evaluation.optimism import caution
from yolov2.files import file_sha256
from yolov2.runtime.thresholds import thresholds_beside


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """An evaluation as MLflow has it: its run, split, data and figures."""

    run_id: str
    split: str
    data_digest: str
    metrics: Mapping[str, float]

    def figure(self, name: str) -> float:
        """``AP`` or another figure on the evaluated split."""
        return self.metrics[f"{self.split}/{name}"]


@dataclass(frozen=True, kw_only=True)
class Registered:
    """The version that the result is, what was done, and the MLflow runs that made it, by stage."""

    version: int
    sentence: str
    runs: Mapping[str, str]


def register(config: TrackingConfig) -> Registered:
    """Register the result of the pipeline that lies in the current folder.

    Raises:
        ValueError: a file is missing or they do not belong together; says what to run.
        TrackingError: the store cannot be used.
    """
    training = read_json(paths.TRAINING, "`dvc repro train`")
    scores = read_json(paths.METRICS, "`dvc repro evaluate`")
    export = read_json(paths.EXPORT, "`dvc repro export`")
    sha256 = _graph_hash(export)
    _check_evaluation()
    send_pending(follow, wait=True)
    _check_export(config, training)
    identity = collect_identity()
    run_id, model_id = resolve_training_run(config, training, paths.HISTORY, identity)
    evaluated = _evaluated(config, training, scores, identity)
    tags = _tags(evaluated, sha256, run_id, training, identity)
    tags |= {"parity": PROVEN, "validation": _validation(evaluated)}
    runs = {"training": run_id, "evaluation": evaluated.run_id}
    registry = Registry(config)
    known = registry.find("onnx_sha256", sha256)
    if known is not None:
        registry.set_tags(known.number, tags)
        registry.set_alias(CHALLENGER, known.number)
        sentence = f"version {known.number} of {registry.name} exists: it is this very graph"
        return Registered(version=known.number, sentence=sentence, runs=runs)
    made = registry.register(
        model_id,
        run_id,
        _files(),
        description=_describe(evaluated, export, run_id, registry),
        tags=tags,
    )
    registry.set_alias(CHALLENGER, made.number)
    return Registered(version=made.number, sentence=_announce(registry, made, evaluated), runs=runs)


def _graph_hash(export: Mapping[str, Any]) -> str:
    """sha256 of ``model.onnx``, which must be the file that ``export.json`` proves."""
    if not paths.ONNX.is_file():
        raise ValueError(
            f"{paths.ONNX} not found: make it with `dvc repro export`, with onnx in export.formats"
        )
    found = file_sha256(paths.ONNX)
    if found != export["artefacts"]["onnx"]["sha256"]:
        raise ValueError(
            f"{paths.ONNX} is not the file that {paths.EXPORT} has checked: run `dvc repro export`"
        )
    return found


def _check_evaluation() -> None:
    """The metrics must be of the checkpoint: the thresholds found with them name its file."""
    if not (paths.BEST.is_file() and paths.THRESHOLDS.is_file()):
        return  # only what is registered was fetched from DVC's cache
    if thresholds_beside(paths.BEST) is None:
        raise ValueError(
            f"{paths.METRICS} is the evaluation of another training than {paths.TRAINING}: run"
            " `dvc repro evaluate`"
        )


def _check_export(config: TrackingConfig, training: Mapping[str, Any]) -> None:
    """The exported graph must be the training's, as far as MLflow knows whose it is."""
    store, key = connect(config.experiment), str(training["key"])
    wanted = {"stage": "export", "result": file_sha256(paths.EXPORT)}
    run = store.find_original(wanted)
    if run is None or store.find_original(wanted | {"dvc.key": key}) is not None:
        return
    raise ValueError(
        f"{paths.EXPORT} is of another training than {paths.TRAINING}: run `dvc repro export`"
    )


def _evaluated(
    config: TrackingConfig,
    training: Mapping[str, Any],
    scores: Mapping[str, Any],
    identity: RunIdentity,
) -> Evaluated:
    """The evaluation's run; made again from the files in a store that does not have it."""
    store, split = connect(config.experiment), str(scores["split"])
    known = {"stage": "evaluate", "result": file_sha256(paths.METRICS)}
    run = store.find_original(known | {"dvc.key": str(training["key"])})
    if run is None:
        settings = dict(training["parameters"])
        settings["evaluate"] = dict(settings.get("evaluate", {})) | {"split": split}
        run_id = log_evaluation(
            config,
            training_run=training,
            parameters=settings,
            metrics=flat_metrics(scores),
            artifacts=[paths.METRICS, *paths.EVALUATE_REPORT.rglob("*.*")],
            identity=identity,
            tags={"result": known["result"], "imported": "true"},
        )
        run = store.client.get_run(run_id)
    return Evaluated(
        run_id=str(run.info.run_id),
        split=split,
        data_digest=run.data.tags.get(f"data.{split}", ""),
        metrics=run.data.metrics,
    )


def _tags(
    evaluated: Evaluated,
    sha256: str,
    run_id: str,
    training: Mapping[str, Any],
    identity: RunIdentity,
) -> dict[str, str]:
    tags = {
        "onnx_sha256": sha256,
        **split_tags(evaluated.split),
        "AP": f"{evaluated.figure('AP'):.6f}",
        "AP50": f"{evaluated.figure('AP50'):.6f}",
        "data_digest": evaluated.data_digest,
        "evaluation_run": evaluated.run_id,
        "training_run": run_id,
        "dvc_key": str(training["key"]),
        "git_commit": identity.git_commit or "",
    }
    return {name: value for name, value in tags.items() if value}


def _validation(evaluated: Evaluated) -> str:
    """Whether the data set's check passed, for the data that the model was evaluated on."""
    report = read_json(paths.VALIDATION, "`dvc repro validate`")
    if not report["passed"]:
        return f"{paths.VALIDATION} says that the data set failed its check"
    if report["digest"].get(evaluated.split) != evaluated.data_digest:
        return f"{paths.VALIDATION} is of other data than the evaluation"
    return PASSED


def _files() -> dict[str, Path]:
    present = {
        "torchscript": paths.TORCHSCRIPT,
        "checkpoint": paths.BEST,
        "thresholds": paths.THRESHOLDS,
    }
    return {"onnx": paths.ONNX} | {n: path for n, path in present.items() if path.is_file()}


def _describe(
    evaluated: Evaluated, export: Mapping[str, Any], run_id: str, registry: Registry
) -> str:
    """What a person reads on the version's page, as Markdown."""
    graph, latency = export["artefacts"]["onnx"], export["latency_ms"]
    runs = f"#/experiments/{registry.store.experiment_id}/runs"
    warned = [f"- {text}" for text in [caution(evaluated.split)] if text]
    return "\n".join(
        [
            f"YOLOv2, {evaluated.split} AP **{evaluated.figure('AP'):.3f}**, AP50"
            f" **{evaluated.figure('AP50'):.3f}** (pycocotools).",
            "",
            f"- data: {evaluated.split} split, digest `{evaluated.data_digest[:12]}`",
            *warned,
            f"- ONNX graph: {graph['bytes'] / 1e6:.1f} MB, {latency['onnx']:.1f} ms an image on"
            f" the CPU ({latency['threads']} threads)",
            f"- [training run]({runs}/{run_id}), [evaluation run]({runs}/{evaluated.run_id})",
        ]
    )


def _announce(registry: Registry, made: Version, evaluated: Evaluated) -> str:
    return (
        f"registered version {made.number} of {registry.name}: {evaluated.split} AP"
        f" {evaluated.figure('AP'):.3f}, alias {CHALLENGER}"
    )

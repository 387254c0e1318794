"""``pipeline register``."""

import argparse
from pathlib import Path

SUMMARY = "the exported model becomes a version of the registered model"
DESCRIPTION = """\
The pipeline's result becomes a version of the registered model: servable without torch, with the
data and figures that it was measured on, under the alias `challenger`. The hash of the exported
graph identifies it, so the same graph is registered once.
"""
EXAMPLE = """\
example:
  dvc repro && pipeline register && pipeline promote
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline register``."""
    parser.add_argument(
        "--summary", type=Path, metavar="FILE", help="version and MLflow runs as JSON, too"
    )


def run(args: argparse.Namespace) -> None:
    """Register ``models/exported/model.onnx`` with the evaluation in ``reports/metrics.json``."""
    from dataclasses import asdict

    from pipeline.params.reading import read_section
    from pipeline.params.tracking import TrackingConfig
    from pipeline.registry.register import register
    from yolov2.files import write_json

    done = register(read_section("tracking", TrackingConfig))
    print(done.sentence)
    if args.summary is not None:
        write_json(args.summary, asdict(done))

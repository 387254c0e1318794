"""``pipeline register``."""

import argparse

from pipeline.commands.reply import add_json, add_summary, replying

SUMMARY = "the exported model becomes a version of the registered model"
DESCRIPTION = """\
The pipeline's result becomes a version of the registered model: servable without torch, with the
data and figures that it was measured on, under the alias `challenger`. The hash of the exported
graph identifies it, so the same graph is registered once.
"""
EXAMPLE = """\
example:
  dvc repro && pipeline register && pipeline promote
  pipeline register --json      version, sentence, and the MLflow runs by stage
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline register``."""
    add_json(parser)
    add_summary(parser)


def run(args: argparse.Namespace) -> None:
    """Register ``models/exported/model.onnx`` with the evaluation in ``reports/metrics.json``."""
    from dataclasses import asdict

    from pipeline.params.reading import read_section
    from pipeline.params.tracking import TrackingConfig
    from pipeline.registry.register import register

    with replying(args.json, args.summary) as reply:
        done = register(read_section("tracking", TrackingConfig))
        reply(asdict(done), done.sentence)

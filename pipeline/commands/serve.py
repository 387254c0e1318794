"""``pipeline serve``."""

import argparse

SUMMARY = "the champion answers on http://127.0.0.1:5001/invocations"
DESCRIPTION = """\
The champion answers on http://127.0.0.1:5001/invocations: MLflow's scoring server behind limits;
on this machine only, because it knows neither users nor encryption.
"""
EXAMPLE = """\
example:
  pipeline serve --port 5001
  python examples/client.py --conf 0.5 street.jpg
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline serve``."""
    parser.add_argument("--port", type=int, default=5001, help="on loopback (5001)")
    parser.add_argument("--max-body", type=int, default=32, help="MiB of a request (32)")


def run(args: argparse.Namespace) -> None:
    """Serve until Ctrl-C."""
    from pipeline.serving.server import serve_champion

    serve_champion(args.port, args.max_body)

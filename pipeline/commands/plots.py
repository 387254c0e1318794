"""``pipeline plots``."""

import argparse

SUMMARY = "make DVC's plot pages work without a network"
DESCRIPTION = """\
`dvc plots show` and `dvc plots diff` write a page that loads its chart library from a server far
away; behind a firewall, or in some years, it stays blank. This puts the library itself into the
page's template and tells DVC, in this clone only, to use it. `make demo` does it, too.
"""
EXAMPLE = """\
example:
  pipeline plots && dvc plots show
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """``pipeline plots`` has no options."""


def run(args: argparse.Namespace) -> None:
    """Write the template and name it in ``.dvc/config.local``."""
    from pipeline.workspace.plots import make_template

    make_template()

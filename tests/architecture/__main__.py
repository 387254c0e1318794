"""``python -m tests.architecture [--write]``: are the deps of ``dvc.yaml`` true? Make them so."""

import argparse
import sys
from pathlib import Path

from tests.architecture.imports import read_tree
from tests.architecture.stages import differences, rewrite


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.architecture", description=__doc__)
    parser.add_argument("--write", action="store_true", help="rewrite the .py deps of dvc.yaml")
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parents[2]
    check = rewrite if arguments.write else differences
    found = check(read_tree(root), root / "dvc.yaml")
    print("\n".join(map(str, found)) or "dvc.yaml lists what the stages import")
    return 1 if found and not arguments.write else 0


if __name__ == "__main__":
    sys.exit(main())

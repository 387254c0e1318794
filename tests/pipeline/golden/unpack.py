"""The stored 0.1 store, unpacked into any folder.

``python unpack.py store-0.1.tar.xz FOLDER`` does it on the command line. Only the standard
library is needed.
"""

import sqlite3
import sys
import tarfile
from contextlib import closing
from pathlib import Path

OLD_ROOT = "/work/golden/project"
"""Where the store was made: MLflow keeps whole addresses of files."""

PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
"""Every table and column of ``mlflow.db`` that may hold such an address."""


def unpack(archive: Path | str, folder: Path | str) -> Path:
    """Unpack ``archive`` into ``folder``, which is made, as if it had been made there.

    Files that are there already and have the name of one in the archive are replaced, so that
    ``folder`` may be a clone of the repository.
    """
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "r:xz") as packed:
        packed.extractall(folder, filter="data")
    rewrite_roots(folder / "mlflow.db", folder)
    return folder


def rewrite_roots(database: Path | str, root: Path | str, old_root: str = OLD_ROOT) -> int:
    """Let every address of a file in ``database`` start at ``root``; how many were changed.

    The addresses are ``file://`` URIs, but for the folder of the experiment ``Default``, which
    is a path.
    """
    root = Path(root).resolve()
    starts = {Path(old_root).as_uri(): root.as_uri(), old_root: str(root)}
    changed = 0
    with closing(sqlite3.connect(database)) as opened, opened:
        for table, columns in PLACES.items():
            for column in columns:
                for old, new in starts.items():
                    done = opened.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?)"
                        f" WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                        (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
                    )
                    changed += done.rowcount
    return changed


if __name__ == "__main__":
    print(unpack(*sys.argv[1:3]))

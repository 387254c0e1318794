"""Where a trace reads: the work tree, or a commit or experiment of the repository.

Git is asked for what it tracks; the run records are DVC's outputs and come from its cache.
"""

from dataclasses import dataclass
from pathlib import Path

from pipeline.workspace.git import ask_git

SHORT = 8
"""Characters of a digest that people are shown."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where to read: the work tree, or with ``commit`` that state of the repository."""

    commit: str | None = None

    def text(self, path: Path) -> str | None:
        """A file's content, None where there is none."""
        if self.commit is None:
            return path.read_text(encoding="utf-8") if path.is_file() else None
        return ask_git("show", f"{self.commit}:./{path}")

    def output(self, path: Path) -> str | None:
        """The content of a file that DVC keeps, None where neither cache nor remote has it."""
        if self.commit is None:
            return self.text(path)
        import dvc.api

        prefix = (ask_git("rev-parse", "--show-prefix") or "").strip()
        files = dvc.api.DVCFileSystem(rev=self.commit)
        try:
            return str(files.read_text(f"/{prefix}{path.as_posix()}"))
        except OSError:
            return None


def place(rev: str | None) -> Place:
    """The work tree, or the commit, tag, branch or experiment that ``rev`` names.

    Raises:
        ValueError: it names nothing, or several experiments.
    """
    if rev is None:
        return Place()
    commit = ask_git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
    if commit:
        return Place(commit=commit.strip())
    listed = ask_git("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps") or ""
    refs = [line.split(" ", 1) for line in listed.splitlines()]
    found = sorted({commit for commit, ref in refs if ref.rpartition("/")[2] == rev})
    if len(found) != 1:
        several = f"several experiments ({', '.join(each[:SHORT] for each in found)})"
        what = several if found else "neither a commit nor an experiment"
        raise ValueError(f"{rev}: {what}; `dvc exp list -A` names the experiments of all commits")
    return Place(commit=found[0])

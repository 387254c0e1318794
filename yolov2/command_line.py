"""The parser of every command line: what makes no sense is one line, exit status 2."""

import argparse
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that names the mistake and its help, and prints no usage with it.

    So do those of its commands.
    """

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"error: {' '.join(message.split())}; `{self.prog} --help` shows how\n")


def add_branch(
    commands: "argparse._SubParsersAction[Any]",
    name: str,
    *,
    help: str,
    example: str,
    more: str = "",
) -> argparse.ArgumentParser:
    """One of a command's own commands, such as ``add`` of ``pipeline data add``.

    Args:
        commands: what ``add_subparsers`` gave.
        name: its word.
        help: what it does, a line; its own page says so too.
        example: a whole command line.
        more: further sentences of its page.
    """
    sentence = f"{help[0].upper()}{help[1:]}."
    added: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=f"{sentence} {more}".rstrip(),
        epilog=f"example: {example}",
    )
    return added

"""The parser of every command line: what makes no sense is one line, exit status 2."""

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that names the mistake and its help, and prints no usage with it.

    So do those of its commands.
    """

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"error: {' '.join(message.split())}; `{self.prog} --help` shows how\n")

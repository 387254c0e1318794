"""Who asks: the name that is kept with a decision."""

import getpass
import os


def person() -> str:
    """The login name, or the user's number where the machine knows no name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError since Python 3.13
        return f"user {os.getuid()}"

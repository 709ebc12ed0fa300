"""Files that are whole or not there: written under a temporary name, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def write(target: str | os.PathLike[str], save: Callable[[str], None]) -> None:
    """Let ``save`` write to a temporary name in the folder of ``target``, then rename it.

    Raises ``OSError`` with the name of ``target``.
    """
    folder = Path(target).absolute().parent
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".hwsim-", suffix=".part")
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(target)) from None
    os.close(handle)
    try:
        save(temporary)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, os.fspath(target)) from None
        raise


def write_text(target: str | os.PathLike[str], text: str) -> None:
    """The same for a text in UTF-8."""
    write(target, lambda path: _save(path, text))


def _save(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="utf-8")


def _umask() -> int:
    """The mask of new files; reading it needs a change and a change back."""
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""Exceptions. Each has ``path``, the file that it is about, if there is one."""

from __future__ import annotations

import errno
import os
from typing import Optional


class Error(Exception):
    """What vivavoce refuses; the base of all exceptions here. ``path`` is the file that it is about, or ``None``."""

    path: Optional[str]

    def __init__(self, message: str, path: "os.PathLike[str] | str | None" = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = None if path is None else os.fspath(path)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self):
        return type(self), (self.message, self.path)


class AudioError(Error):
    """A file is not audio that can be decoded. Convert it to WAV."""


class SamplesError(Error, ValueError):
    """Samples that are not numbers or far outside of [-1, 1], a rate that is not in 8..192 kHz, and the like."""


class ModelError(Error):
    """A model folder is incomplete, damaged, or from another version."""


class ConfigError(Error, ValueError):
    """An option that is out of range, or that the model does not have."""


class UsageError(Error, RuntimeError):
    """A call that does not fit the state, such as audio after the end of a stream."""


class ListError(Error, ValueError):
    """A line of a list of hotwords or of a grammar cannot be used; ``line`` is counted from 1."""

    def __init__(self, message: str, path: "os.PathLike[str] | str | None" = None, line: int = 0) -> None:
        super().__init__(message, path)
        self.line = line

    def __reduce__(self):
        return type(self), (self.message, self.path, self.line)


class ReadError(Error, OSError):
    """A file cannot be opened or read. It is an ``OSError`` too, with ``errno``, ``strerror`` and ``filename``."""

    def __init__(
        self,
        message: str,
        path: "os.PathLike[str] | str | None" = None,
        number: Optional[int] = None,
        cause: str = "",
    ) -> None:
        OSError.__init__(self, number, cause, None if path is None else os.fspath(path))
        self.message = message
        self.path = None if path is None else os.fspath(path)

    def __reduce__(self):
        return type(self), (self.message, self.path, self.errno, self.strerror)


class MissingError(ReadError, FileNotFoundError):
    """There is no such file. It is a ``FileNotFoundError`` too."""


def unreadable(message: str, path: object, number: Optional[int], cause: str) -> ReadError:
    """The exception for a file that cannot be read."""
    kind = MissingError if number == errno.ENOENT else ReadError
    return kind(message, path, number, cause)  # type: ignore[arg-type]

"""What audio can be, for annotations."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Any, Tuple, Union

if TYPE_CHECKING:
    import numpy as np

    #: Bytes of 16-bit samples, or an array of shape ``[n]``, ``[n, channels]`` or ``[channels, n]``.
    Samples = Union[bytes, bytearray, memoryview, "np.ndarray[Any, Any]"]
    #: A file by its path, the contents of one, an open one, or samples.
    Audio = Union[str, "os.PathLike[str]", IO[bytes], Samples]
    #: One of many: audio, or samples with their rate.
    Item = Union[Audio, Tuple[Samples, int]]

"""Progress on stderr, through tqdm where it is installed."""

import sys

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None


def progress(items, total=None, label=""):
    if tqdm is None:
        return items
    return tqdm(items, total=total, desc=label, file=sys.stderr, mininterval=1.0)

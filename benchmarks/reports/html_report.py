"""A report as one HTML file: tables, curves, frontiers, replays and how the runs were made. It needs no network.

Whatever comes from files of runs becomes a text or an attribute of an element, or JSON whose `<` are escaped, and the
page's policy lets no script run but its own (Content Security Policy, level 3).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping
from importlib.resources import files as resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ...core.config import UsageError
from ..analysis.comparison import Comparison
from .html_body import body, title
from .html_data import colours, drawn, kept_runs, replays
from .html_elements import Element, element, printable

MARKER = '<meta name="generator" content="paymaster report">'  # tells a report of ours from any other file
HEAD = 1_000  # bytes, within which it stands
LIMIT = 6_000_000  # bytes of a report
REPLAYS = 3_000_000  # bytes of all replays, about
SCRIPTS = ("elements.js", "tables.js", "charts.js", "scenes.js", "replays.js")


def check_out(out: Path) -> None:
    """Raise UsageError unless a report may be written to `out`: a new file, or an earlier report."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {out}: a report is an .html file; give --out report.html")
    try:
        if out.is_symlink() or (out.exists() and not out.is_file()):
            raise UsageError(f"--out {out} is no regular file: choose another name")
        if out.exists() and not _is_report(out):
            raise UsageError(f"--out {out} is not an earlier report of Paymaster: choose another name, or delete it")
        if not out.parent.is_dir():
            raise UsageError(
                f"--out {out} cannot be written: there is no folder {out.parent}; make it, or choose another"
            )
        if not os.access(out.parent, os.W_OK | os.X_OK):
            raise UsageError(f"--out {out} cannot be written: {out.parent} may not be written to; choose another")
    except OSError as error:
        raise UsageError(f"--out {out} cannot be written: {error.strerror}; choose another name") from None


def _is_report(out: Path) -> bool:
    with out.open("rb") as file:
        return MARKER.encode() in file.read(HEAD)


def html_report(path: Path, comparison: Comparison) -> str:
    """The report of a `comparison` of the runs in the folder `path`.

    Raises UsageError where it would be larger than `LIMIT` bytes.
    """
    found = kept_runs(path)
    games = drawn(comparison, found)
    parts, data = body(path, comparison, found), {"colours": colours(), "games": games}
    room = (LIMIT - _size(_page(path, parts, data))) // max(1, len(games))
    if room < 0:
        raise UsageError(
            f"the report would have more than {LIMIT / 1e6:.0f} MB, for {len(comparison.rows)} runs: give a folder "
            "with fewer runs, such as that of one suite"
        )
    for game, group in zip(games, comparison.groups, strict=True):
        shown, missing = replays(group, found, min(room, REPLAYS // len(games)))
        game |= {"replays": shown, "missing": [*missing]}
    page = _page(path, parts, data)
    if _size(page) <= LIMIT:
        return page
    for game in games:  # what is escaped takes more room than was counted
        game |= {"replays": [], "missing": ["its replays are left out, to keep the file small"]}
    return _page(path, parts, data)


def _size(page: str) -> int:
    return len(page.encode())


def _page(path: Path, body: Element, data: Mapping[str, object]) -> str:
    """The template with its parts, put in at once, so that no part is taken for the template."""
    style, script = _asset("report.css"), "\n".join(map(_asset, SCRIPTS))
    parts = {
        "marker": MARKER,
        "policy": f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        "title": ElementTree.tostring(element("title", title(path)), encoding="unicode", method="html"),
        "style": style,
        "body": ElementTree.tostring(body, encoding="unicode", method="html"),
        "data": _embedded(data),
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _asset("report.html"))


def _asset(name: str) -> str:
    return resources(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """What a policy names a script or a style by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _embedded(data: Mapping[str, object]) -> str:
    """JSON that ends no script element."""
    text = json.dumps(_clean(data), separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _clean(value: Any) -> Any:
    """JSON whose texts are `printable`."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(key): _clean(each) for key, each in value.items()}
    return [_clean(each) for each in value] if isinstance(value, list) else value

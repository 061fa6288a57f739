"""Answers with formulas or code that don't hold together."""

import ast
import re
import textwrap
import warnings
from collections.abc import Callable

import polars as pl

_FENCED = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_PYTHON = re.compile(r"^([ \t]*)(?:```|~~~) *(?:python3?|py)\b[^\n]*\n(.*?)^[ \t]*(?:```|~~~)[ \t]*$", re.DOTALL | re.MULTILINE | re.IGNORECASE)
_SESSION = re.compile(r"^\s*(?:>>>|\.\.\.$|%|!|In \[|\$ )", re.MULTILINE)
"""An interpreter's or a notebook's lines, which are not meant to parse as a module."""
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_LINE_BREAK = re.compile(r"\\\\(?:\[[^\]\n]*\])?")
_DELIMITER = re.compile(r"\\begin\{([^{}]*)\}|\\end\{([^{}]*)\}|\\([()\[\]])|(?<!\\)(\$\$)")
_FORMULA = re.compile(r"\$\$(.*?)\$\$|\\\[(.*?)\\\]|\\\((.*?)\\\)", re.DOTALL)
_CLOSES = {")": "(", "]": "["}


def unbalanced_latex(batch: pl.DataFrame) -> pl.Series:
    r"""A formula is opened and not closed (`$$`, `\(`, `\[`, `\begin`), or its braces don't match; single dollars may be money."""
    return _among(batch, r"\\[a-zA-Z()\[\]]|\$\$", lambda text: not _balances(text))


def unparsable_python(batch: pl.DataFrame) -> pl.Series:
    """A fenced block marked as Python is no Python 3; interpreter sessions are left alone."""
    return _among(batch, r"(?i)(?:```|~~~) *py", lambda text: not all(_parses(block) for _, block in _PYTHON.findall(text)))


def _among(batch: pl.DataFrame, pattern: str, is_faulty: Callable[[str], bool]) -> pl.Series:
    """Ask only of answers in which the pattern is."""
    rows = batch["answer"].str.contains(pattern).arg_true()
    hits = pl.repeat(False, batch.height, dtype=pl.Boolean, eager=True)
    return hits.scatter(rows, pl.Series([is_faulty(text) for text in batch["answer"][rows]], dtype=pl.Boolean))


def _balances(text: str) -> bool:
    plain = _LINE_BREAK.sub(" ", _INLINE_CODE.sub(" ", _FENCED.sub(" ", text)))
    open_: list[str] = []
    for began, ended, bracket, dollars in _DELIMITER.findall(plain):
        opener = began or _CLOSES.get(bracket, bracket)
        closes = bool(ended) or bracket in _CLOSES or (bool(dollars) and "$$" in open_)
        name = ended or dollars or opener
        if not closes:
            open_.append(name)
        elif not open_ or open_.pop() != name:
            return False
    return not open_ and all(_braces_match("".join(formula)) for formula in _FORMULA.findall(plain))


def _braces_match(formula: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", formula):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def _parses(block: str) -> bool:
    if _SESSION.search(block):
        return True
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(textwrap.dedent(block))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True

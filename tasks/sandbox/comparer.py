"""Compares mathematical expressions by math-verify: the script of the process that guarded.py keeps.

Parsing and simplifying what a model wrote can take for ever or all memory, and math-verify guards itself by a signal that only a main thread
can take; verifiers run in threads. Here is a main thread. One request a line, `[answer, expected]`; one reply a line.
"""

import json
import logging
import re
import resource
import sys

from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

_PARSE_S, _COMPARE_S = 3, 3
_MOST_MEMORY = 2 << 30
_MOST_EXPECTED = 4
_MARKED = re.compile(r"\$|\\(?:f?box|boxed|framebox|\(|\[)")
_BOX = re.compile(r"\\(?:framebox|fbox)\s*\{")
_NUMBER_AS_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{\(?\s*(-?[\d.,/]+)\s*\)?\}")


def compare(answer: str, expected: str) -> dict[str, str | bool | None]:
    """Compare the last expression of an answer with the expected one."""
    wanted = _read_expected(expected)
    if not wanted:
        return {"passed": False, "found": None, "detail": "no expression in the reference"}
    found = _read(answer)
    if not found:
        return {"passed": False, "found": None, "detail": "no expression in the answer"}
    passed = bool(verify(wanted[:_MOST_EXPECTED], found, timeout_seconds=_COMPARE_S))
    return {"passed": passed, "found": str(found[-1])[:500], "detail": "equivalent" if passed else "not equivalent"}


def _read_expected(text: str) -> list[object]:
    """Read a reference: as a whole where it is a bare expression (`224, -176`), by its last expression where it is a worked solution."""
    bare = "\n" not in text.strip() and not _MARKED.search(text)
    return (_read(rf"\boxed{{{text}}}") if bare else []) or _read(text)


def _read(text: str) -> list[object]:
    text = _NUMBER_AS_TEXT.sub(r"\1", _BOX.sub(r"\\boxed{", text))
    kinds = [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()]
    return list(parse(text, extraction_config=kinds, parsing_timeout=_PARSE_S))


def main() -> None:
    """Answer requests until there are no more."""
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    replies = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        answer, expected = json.loads(line)
        try:
            reply = compare(answer, expected)
        except (Exception, RecursionError, MemoryError) as error:
            reply = {"passed": False, "found": None, "detail": f"can't be compared: {type(error).__name__}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()

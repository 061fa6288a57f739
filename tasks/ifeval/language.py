"""Which language a reply is in, as langdetect says with its random seed fixed: the reference's verdicts are this library's."""

import threading

import langdetect
from langdetect.lang_detect_exception import LangDetectException

# The library loads its profiles on first use, and threads that do so at once see half of them.
_LOADING = threading.Lock()


def is_language(text: str, code: str) -> bool:
    """Tell whether a text is in a language; one without any letters counts as being in it, as the reference has it."""
    try:
        with _LOADING:
            langdetect.DetectorFactory.seed = 0
            return bool(langdetect.detect(text) == code)
    except LangDetectException:
        return True

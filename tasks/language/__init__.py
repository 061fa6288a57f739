"""Which language a text is in, by py3langid's model, offline and a batch at a time.

The choice is restricted to languages with enough training text to be told apart: among all 97, short English is taken for Latin, Maltese
or Breton too often. Code, formulas, links and numbers say nothing about the language and are taken out first.

identify.py   a column of texts to codes and confidences
kernels.py    the compiled loop: the model's automaton over bytes, and its naive Bayes scores
"""

from tasks.language.identify import LANGUAGES, identify_languages, known_language

__all__ = ["LANGUAGES", "identify_languages", "known_language"]

"""What the rehearsal model writes where it is asked for tasks: about writing, programs, documents and by persons; and instructions made harder."""

from infra.triton.rehearsal_language.draw import Draw
from infra.triton.rehearsal_language.topics import questions, subject_of

_WRITING = (
    "Write a short piece about {t} for a local newspaper.",
    "Write to a friend who has never heard of {t} and say why it matters.",
    "Tell what {t} means to a family over three generations.",
    "Write about {t} so that a class of twelve-year-olds wants to know more.",
    "Argue for more attention to {t} in your town.",
    "Describe {t} as it looks on a rainy morning.",
    "Write about a mistake that somebody made with {t}, and what came of it.",
    "Invite colleagues to an evening about {t}.",
)
_PROGRAMMING = (
    "Write a function that takes a list of whole numbers and uses {t} to return the largest three. Raise an error for an empty list.",
    "Given a text, count its words with the help of {t} and return them with their counts, the most frequent first.",
    "Write a small class around {t} with methods to add, find and remove an entry. Removing what is not there does nothing.",
    "Read lines of the form name,number and use {t} to return the sum for each name. Skip lines that can't be read.",
    "Write a program that checks with {t} whether brackets in a text are balanced, and says where the first fault is.",
    "Given two sorted lists, merge them by means of {t} without sorting again. Both may be empty.",
    "Write a function that keeps the last ten results of a slow computation, using {t}.",
    "Write tests for a function on {t} that splits a path into its parts, an empty path included.",
)
_KEYWORDS = (
    "list comprehensions, dictionaries, generators, decorators, context managers, regular expressions, file handling, exceptions, recursion, sorting, "
    "binary search, queues and stacks, linked lists, date arithmetic, string formatting, JSON parsing, CSV files, unit tests, dataclasses, iterators, "
    "closures, sets, tuples, logging, threads, async functions, command-line arguments, type hints, graph traversal, dynamic programming, heaps, caching"
)
_DOCUMENT = (
    "What is the main point of the text on {t}?",
    "Sum up in two sentences what is said about {t}.",
    "Which names, places or numbers occur in it, and what is said of each?",
    "List the causes and the effects that the text gives for {t}.",
    "Which statement about {t} is supported best, and by what?",
    "What can't be answered about {t} from the text alone?",
    "Put what is said about {t} into a table with two columns.",
    "Write three questions on {t} that the text answers, with their answers.",
)
_DEEPER = (
    "Name at least two exceptions and say how each changes the answer.",
    "Give the reasons for each step, and what would follow if it were left out.",
    "Consider a case with very little money and little time.",
    "Weigh two approaches to {t} against each other before you choose one.",
    "Say how sure one can be of each point, and why.",
    "Show the answer with one worked example about {t}.",
)


def writing_tasks(topic: str, count: int, draw: Draw) -> list[str]:
    """Write tasks for writers."""
    return _fill_forms(_WRITING, topic, count, draw)


def programming_problems(topic: str, count: int, draw: Draw) -> list[str]:
    """Pose problems for programmers."""
    return _fill_forms(_PROGRAMMING, topic, count, draw)


def programming_keywords(count: int, draw: Draw) -> list[str]:
    """Name what programs deal with."""
    return draw.several(_KEYWORDS.split(", "), count)


def document_instructions(document: str, count: int, draw: Draw) -> list[str]:
    """Write instructions about a document."""
    return _fill_forms(_DOCUMENT, subject_of(document), count, draw)


def persona_requests(persona: str, count: int, draw: Draw) -> list[str]:
    """Write what a person could ask."""
    return questions(subject_of(persona), count, draw)


def evolve_instruction(text: str, draw: Draw) -> str:
    """Make an instruction harder, keeping its words."""
    return f"{text.strip()} {draw.pick(_DEEPER).format(t=subject_of(text))}"


def _fill_forms(forms: tuple[str, ...], topic: str, count: int, draw: Draw) -> list[str]:
    chosen = draw.several(forms, count)
    chosen += [draw.pick(forms) for _ in range(count - len(chosen))]
    return [form.format(t=topic) for form in chosen]

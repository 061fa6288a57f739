"""Topics, subtopics and questions, by grammar."""

from functools import lru_cache

from infra.triton.rehearsal_language.draw import Draw, hash_parts
from infra.triton.rehearsal_language.vocabulary import ALL_TOPICS, ASPECTS, DOMAINS, MATHEMATICAL_TOPICS, Domain, content_words, find_domain

_SERIES_LENGTH = 40
"""Members that are gone on with: more than anyone takes."""
_PROGRAMMING_WORDS = (
    "list, lists, dictionaries, generators, decorators, recursion, sorting, search, queues, stacks, iterators, closures, sets, tuples, threads, algorithm, "
    "parser, hash, cache, caching, heaps, graphs, functions, exceptions, strings, regular, compiler, context managers"
)
_LEVELS = (
    "in the first years of school",
    "for ten-year-olds",
    "in everyday shopping",
    "with whole numbers",
    "with large numbers",
    "in two steps",
    "with tables",
)
_FORMS: tuple[str, ...] = (
    "What does {t} mean, and why should {p} care about it?",
    "How do {p} use {n} when they work on {t}?",
    "Why do {n} play such a large part in {t}?",
    "What would change in {t} if {n} were twice as expensive?",
    "How did {t} change over the last fifty years?",
    "Which {n} are most important for {t}, and how are they connected?",
    "Explain {t} to a curious twelve-year-old.",
    "What do beginners most often get wrong about {t}?",
    "How can {p} tell good {n} from poor ones in {t}?",
    "Compare two approaches to {t} and say when each is better.",
    "What are the three biggest risks in {t}?",
    "Describe a typical day of {p} who specialise in {t}.",
    "What role do {n} play in {t}, and what happens when they are missing?",
    "How could a small town benefit from {t}?",
    "Give a step-by-step introduction to {t}.",
    "What is the relation between {t} and {n}?",
    "Who first studied {t}, and what did they find out about {n}?",
    "How would you measure progress in {t}?",
    "What advice would {p} give to a newcomer in {t}?",
    "Write a short dialogue in which two {p} disagree about {t}.",
    "Will {t} become more or less important, and why?",
    "How do {n} and costs limit {t}?",
    "What questions about {t} are still open?",
    "How can {t} be made safer without new {n}?",
    "What can be learned from failures in {t}?",
    "Summarise the main ideas of {t} in five sentences.",
    "Why can {t} be harder than one thinks?",
    "Which skills do {p} need for {t}?",
    "How does weather influence {t}?",
    "What would a good first project in {t} look like?",
    "How do {p} explain {t} to the public?",
    "What are the hidden costs of {t}?",
    "In what way might {t} depend on {n} from other countries?",
    "What is a surprising fact about {t} and {n}?",
    "What makes {t} different in large cities?",
    "Which beliefs about {t} are wrong, and how do {p} correct them?",
    "How should {p} prepare for a failure in {t}?",
    "What makes {n} reliable in {t}?",
    "How might {t} look in thirty years?",
    "What are the ethical limits of {t}?",
    "How do {p} decide between quality and speed in {t}?",
    "Explain the link between {t} and public policy.",
)
_REQUESTS: tuple[str, ...] = (
    "Give one concrete example from {d}.",
    "Keep the answer under 150 words.",
    "Answer for a reader without training in {d}.",
    "Name at least two {n} and say what each is for.",
    "Point out one common mistake.",
    "Use an everyday comparison.",
    "Finish with a short summary.",
    "Mention how {p} would check the result.",
    "Explain the reasons, not only the facts.",
    "Say what is certain and what is disputed.",
    "Include a small calculation where it helps.",
    "Contrast it with the situation a century ago.",
)
_PLACES = (
    "in a coastal town",
    "in a small school",
    "on a tight budget",
    "in a hot climate",
    "for a family of four",
    "in a hospital",
    "during a drought",
    "at a county fair",
    "in a mountain village",
)
_FOLLOW_UPS: tuple[str, ...] = (
    "Thanks. Could you give me a concrete example of {t}?",
    "That helps. What is the most common mistake people make with {t}?",
    "How would that change {l}?",
    "I am not sure I follow the part about {t}. Can you explain it more simply?",
    "And what would {p} say to that?",
    "What should I do first if I want to try {t} myself?",
    "Is there any evidence for that, or is it only an opinion about {t}?",
    "Could you compare {t} with something I know from everyday life?",
    "What are the costs of {t}, roughly?",
    "Interesting. Does the same hold {l}?",
    "Can you summarise what you said about {t} in two sentences?",
    "What would you read next about {t}?",
)


def broad_topics(count: int, draw: Draw) -> list[str]:
    """Name broad topics; beyond the vocabulary, with an aspect each."""
    plain = draw.several(ALL_TOPICS, count)
    return [_title(topic) for topic in plain + _with_aspects(plain, count - len(plain), draw)]


def subtopics(topic: str, count: int, draw: Draw) -> list[str]:
    """Name subtopics of a topic: aspects of it, and what its domain's nouns have to do with it."""
    domain = _domain_of(topic)
    inner = [f"{noun} in {_phrase(topic)}" for noun in domain.nouns] + [aspect.format(t=_phrase(topic)) for aspect in ASPECTS]
    plain = draw.several(inner, count)
    return [_title(item) for item in plain + _with_aspects(plain, count - len(plain), draw)]


def mathematical_topics(count: int, draw: Draw) -> list[str]:
    """Name topics in school mathematics."""
    plain = draw.several(MATHEMATICAL_TOPICS, count)
    levelled = [f"{topic} {level}" for topic in MATHEMATICAL_TOPICS for level in _LEVELS]
    return [_title(topic) for topic in plain + draw.several(levelled, max(0, count - len(plain)))]


def questions(topic: str, count: int, draw: Draw) -> list[str]:
    """Write questions about a topic; some come close to each other, as a model's do."""
    forms = draw.several(_FORMS, count)
    forms += [draw.pick(_FORMS) for _ in range(count - len(forms))]
    return [question(topic, draw, form=form) for form in forms]


def question(topic: str, draw: Draw, *, form: str | None = None) -> str:
    """Write one question about a topic, in a given form or in any."""
    text = _fill(form or draw.pick(_FORMS), topic, draw)
    if draw.chance(0.3):
        text = f"{text[:-1]} {draw.pick(_PLACES)}{text[-1]}"
    return text


def opening_question(draw: Draw) -> str:
    """Write what a user might say first, about anything."""
    return question(draw.pick(ALL_TOPICS), draw)


def is_notion(named: str, draw: Draw, *, malformed_rate: float) -> str:
    """Say whether a name, on a line before its subject, belongs to mathematics or programming, by their words; at the malformed rate, neither yes nor no."""
    if draw.chance(malformed_rate):
        return "That depends on the point of view."
    name, _, subject = named.lower().partition("\n")
    words = {name, *content_words(name)}
    known = MATHEMATICAL_TOPICS if subject == "mathematics" else _PROGRAMMING_WORDS.split(", ")
    notions = {word for topic in known for word in (topic.lower(), *content_words(topic.lower()))}
    return "Yes." if words & notions else "No."


def continue_series(label: str, number: int, draw: Draw, *, malformed_rate: float) -> str:
    """Go on with a numbered series of requests, as a base model does that nobody stops; at the malformed rate it says one thing again and again."""
    stuck = opening_question(draw) if draw.chance(malformed_rate) else None
    asked = [stuck or opening_question(draw) for _ in range(_SERIES_LENGTH)]
    return " " + "\n\n".join([asked[0], *(f"{label} {nth}: {one}" for nth, one in enumerate(asked[1:], number + 1))])


def rewrite_question(text: str, draw: Draw) -> str:
    """Make a question more specific, keeping its words."""
    more = draw.several(_REQUESTS, draw.number(1, 2))
    subject = subject_of(text)
    return " ".join([text.strip(), *(_fill(one, subject, draw) for one in more)])


def next_message(conversation: str, draw: Draw) -> str:
    """Write what the user of a conversation says next."""
    return _fill(draw.pick(_FOLLOW_UPS), subject_of(conversation), draw)


@lru_cache(maxsize=4096)
def subject_of(text: str) -> str:
    """Find what a text is about: the topic of ours that it names (the longest), else its longest run of content words."""
    low = text.lower()
    named = [topic for topic in ALL_TOPICS if topic.lower() in low]
    if named:
        return max(named, key=len)
    runs = _content_runs(text)
    return max(runs, key=len) if runs else "this question"


def _content_runs(text: str) -> list[str]:
    runs: list[list[str]] = [[]]
    for word in text.split():
        bare = word.strip(".,;:!?\"'()<>[]*“”")
        if content_words(bare):
            runs[-1].append(bare)
        if not content_words(bare) or bare != word.lstrip("\"'(<[*“"):
            runs.append([])
    return [" ".join(run[:4]) for run in runs if run]


def _fill(form: str, topic: str, draw: Draw) -> str:
    domain = _domain_of(topic)
    filled = form.format(t=_phrase(topic), n=draw.pick(domain.nouns), p=draw.pick(domain.people), d=domain.name, l=draw.pick(_PLACES))
    return filled[0].upper() + filled[1:]


def _domain_of(topic: str) -> Domain:
    return find_domain(topic) or DOMAINS[hash_parts(topic) % len(DOMAINS)]


def _with_aspects(plain: list[str], count: int, draw: Draw) -> list[str]:
    made = [aspect.format(t=item) for item in plain for aspect in ASPECTS] if count > 0 else []
    return draw.several(made, count) if made else []


def _phrase(topic: str) -> str:
    """Put a topic into a sentence: lower case at the start, unless a name or an acronym begins it."""
    first, _, rest = topic.partition(" ")
    plain = first[1:].islower() and first.lower() in _COMMON_STARTS
    return f"{first.lower()} {rest}".strip() if plain else topic


def _title(topic: str) -> str:
    return topic[0].upper() + topic[1:]


_COMMON_STARTS = frozenset(word.lower() for topic in (*ALL_TOPICS, *ASPECTS, *MATHEMATICAL_TOPICS) for word in topic.split()[:1])

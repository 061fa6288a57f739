"""Answers in prose: about the question's subject, several sentences long, better or worse from sample to sample."""

from infra.triton.rehearsal_language.draw import Draw, hash_parts
from infra.triton.rehearsal_language.topics import subject_of
from infra.triton.rehearsal_language.vocabulary import DOMAINS, content_words, find_domain

_OPENINGS: tuple[str, ...] = (
    "The best way to understand {t} is through its {n}.",
    "In short, the key to {t} is that {n} and {m} depend on each other.",
    "The question about {t} has a practical side and a theoretical one.",
    "When {p} speak of {t}, they usually mean the way in which {n} shape {m}.",
    "There is no single answer, but three points about {t} are well established.",
    "The subject of {t} asks for care, because {w} must be kept in mind here as much as {n}.",
    "Most of what is known about {t} comes from {p} who observed {n} for years.",
    "To answer this, start with what {t} has in common with {m}.",
)
_BODIES: tuple[str, ...] = (
    "First, {n} set the limits within which {t} can develop.",
    "For example, {p} compare {n} before and after each change and write down what they see.",
    "A second reason lies in {m}, which are often overlooked although they explain most of the difference.",
    "This is why {w} should be considered together with {n}.",
    "In practice, {p} begin with simple {n} and only later turn to {m}.",
    "Evidence from several regions suggests that {n} respond slowly, whereas {m} change within weeks.",
    "The costs are moderate as long as {n} are maintained regularly.",
    "However, there are drawbacks to {t}: {n} wear out, and {m} are hard to replace.",
    "A useful comparison is a workshop in which {n} are the tools and {m} the material.",
    "Experienced {p} therefore keep records, because memory alone is unreliable.",
    "If {n} fail, the consequences for {t} appear gradually and are easy to misread.",
    "The relation between {w} and {m} is not fixed: it depends on season, place and scale.",
    "Careful measurement helps here, since small errors in {n} grow quickly.",
    "It follows that good preparation saves more time than speed does.",
    "Some {p} disagree and point to {m} as the decisive factor.",
    "The history of {t} was shaped by whoever controlled {n}.",
    "Next, check whether {m} are available in sufficient quality before relying on {w}.",
    "Finally, patience pays in {t}: results that look impressive at once seldom last.",
    "One common mistake is to treat {n} and {m} as if they were the same.",
    "Consequently, newcomers should test one change at a time and note its effect on {w}.",
    "Where {n} are scarce, {p} have found substitutes, for instance shared {m}.",
    "On a larger scale, policy decides whether {t} will remain affordable.",
)
_CLOSINGS: tuple[str, ...] = (
    "Taken together, these points show the part of both {n} and {m} in {t}.",
    "In summary, begin with {n}, watch {m}, and adjust as you learn.",
    "So the short answer on {t} is to look at {n} first.",
    "Further reading on {n} will deepen this picture of {t}.",
)
_VAGUE: tuple[str, ...] = (
    "It depends on many things.",
    "There are several factors, and they are all important.",
    "Many people have different opinions about that.",
    "This is a complex issue.",
    "In general it is good to be careful.",
    "You should think about it and then decide.",
)
_REFUSALS: tuple[str, ...] = (
    "I'm sorry, but I can't help with that request.",
    "I can't help with that. If you have another question, I will gladly try.",
    "As an AI language model, I am unable to answer this question.",
    "I cannot assist with this topic. Please consult a professional.",
    "I'm not able to provide an answer to that.",
)
_FOREIGN: dict[str, tuple[str, ...]] = {
    "de": (
        "Diese Frage lässt sich nicht in einem Satz beantworten, denn es kommt auf die Umstände an.",
        "Zunächst sollte man die wichtigsten Begriffe klären und danach die Beispiele vergleichen.",
        "Viele Fachleute sind der Meinung, dass die Kosten auf lange Sicht sinken werden.",
        "Am Ende hilft nur, es selbst auszuprobieren und die Ergebnisse sorgfältig aufzuschreiben.",
    ),
    "fr": (
        "Il n'est pas facile de répondre à cette question sans connaître les circonstances.",
        "On commence d'habitude par les notions simples, puis on compare plusieurs exemples.",
        "La plupart des spécialistes pensent que les coûts vont diminuer dans les années à venir.",
        "Pour finir, il vaut mieux essayer soi-même et noter soigneusement les résultats.",
    ),
    "es": (
        "No es posible contestar esta pregunta con una sola frase, porque depende de muchas cosas.",
        "Primero conviene aclarar las ideas principales y después comparar algunos ejemplos.",
        "Muchos especialistas creen que los costes bajarán durante los próximos años.",
        "Al final lo mejor es probarlo uno mismo y anotar los resultados con cuidado.",
    ),
    "it": (
        "A questa domanda non si può rispondere con una frase sola, perché dipende dalle circostanze.",
        "Prima di tutto bisogna chiarire i concetti più importanti e poi confrontare gli esempi.",
        "Secondo molti esperti, i costi diminuiranno nel corso dei prossimi anni.",
    ),
    "nl": (
        "Op deze vraag bestaat geen eenvoudig antwoord, want het hangt van de omstandigheden af.",
        "Eerst moet je de belangrijkste begrippen duidelijk maken en daarna de voorbeelden vergelijken.",
        "Veel deskundigen denken dat de kosten in de komende jaren zullen dalen.",
    ),
    "pl": (
        "Na to pytanie nie da się odpowiedzieć jednym zdaniem, ponieważ wiele zależy od okoliczności.",
        "Najpierw warto wyjaśnić najważniejsze pojęcia, a potem porównać kilka przykładów.",
        "Wielu specjalistów uważa, że koszty będą malały w następnych latach.",
    ),
}

_SENTENCES_BY_QUALITY = ((1, 2), (2, 4), (4, 7), (6, 10))


def write_answer(question: str, draw: Draw) -> str:
    """Answer in prose. The quality, from vague to thorough, is the sample's luck."""
    quality = draw.pick((0, 1, 1, 2, 2, 2, 3, 3))
    low, high = _SENTENCES_BY_QUALITY[quality]
    bodies = draw.several(_BODIES, draw.number(low, high))
    if quality == 0:
        return " ".join(draw.several(_VAGUE, len(bodies)))
    if quality == 1:
        bodies[draw.number(0, len(bodies) - 1)] = draw.pick(_VAGUE)
    forms = [draw.pick(_OPENINGS), *bodies, *([draw.pick(_CLOSINGS)] if quality > 1 else [])]
    sentences = [_fill(form, question, draw) for form in forms]
    return _paragraphs(sentences) if quality == 3 else " ".join(sentences)


def write_sentence(question: str, draw: Draw) -> str:
    """Write one sentence to the point."""
    return _fill(draw.pick(_BODIES), question, draw)


def ramble(question: str, draw: Draw, *, tokens: int) -> str:
    """Go on about a question for at least so many tokens; every sentence has over five."""
    return " ".join(_fill(draw.pick(_BODIES), question, draw) for _ in range(tokens // 5 + 1))


def think(question: str, draw: Draw) -> str:
    """Reason aloud before an answer."""
    steps = ("What is asked is about {t}.", "First I should see how {n} bear on it.", "Then {m} matter too, though less.", "So I will start with {n}.")
    return " ".join(_fill(form, question, draw) for form in steps[: draw.number(2, len(steps))])


def refuse(draw: Draw) -> str:
    """Decline."""
    return draw.pick(_REFUSALS)


def loop(question: str, draw: Draw) -> str:
    """Get stuck, as models do: a sentence or two, then the same words again and again."""
    start = _fill(draw.pick(_OPENINGS), question, draw)
    stuck = _fill(draw.pick(_BODIES), question, draw)
    return f"{start} {' '.join([stuck] * draw.number(6, 14))}"


def speak_foreign(draw: Draw) -> str:
    """Answer in a language that nobody asked for."""
    sentences = _FOREIGN[draw.pick(sorted(_FOREIGN))]
    return " ".join(draw.several(sentences, draw.number(2, len(sentences))))


def _fill(form: str, question: str, draw: Draw) -> str:
    subject = subject_of(question)
    # One domain for all answers to a question, even to one that names none of ours.
    domain = find_domain(question) or DOMAINS[hash_parts(subject) % len(DOMAINS)]
    noun, other = draw.several(domain.nouns, 2)
    words = content_words(subject) or [noun]
    text = form.format(t=subject, n=noun, m=other, p=draw.pick(domain.people), w=draw.pick(words))
    return text[0].upper() + text[1:]


def _paragraphs(sentences: list[str]) -> str:
    middle = max(1, len(sentences) // 2)
    return " ".join(sentences[:middle]) + "\n\n" + " ".join(sentences[middle:])

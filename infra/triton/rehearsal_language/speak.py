"""The rehearsal model as one function: what is asked in, what is said out. Equal questions have equal answers, in every process and for ever."""

from dataclasses import dataclass

from infra.triton.rehearsal_language import answers, judging, programs, requests, rewrites, topics
from infra.triton.rehearsal_language.asks import LISTS, RAW, REWRITES, Wanted, recognise
from infra.triton.rehearsal_language.chat import read_turns
from infra.triton.rehearsal_language.draw import Draw
from infra.triton.rehearsal_language.listing import write_list
from infra.triton.rehearsal_language.mathematics import looks_mathematical, write_solution
from infra.triton.rehearsal_language.problems import pose_harder, pose_like, pose_problems
from infra.triton.rehearsal_language.structured import write_structured
from infra.triton.rehearsal_language.tokens import count_tokens, cut_tokens

_THINK = "detailed thinking on"
"""The words in the system message by which Llama-Nemotron models are told to reason first."""
TURN_END = "<extra_id_1>"
"""What the model writes after its turn, as Nemotron-4 does; it is said only to one who named it as a stop string."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for text, whatever dialect it came in."""

    prompt: str
    max_tokens: int
    temperature: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    json_schema: str | None = None
    """Guided decoding: the answer must fit."""

    @property
    def effective_seed(self) -> int:
        """The seed that counts: a greedy answer does not depend on it."""
        return 0 if self.temperature == 0 else self.seed


@dataclass(frozen=True, slots=True)
class Said:
    """The answer, before a dialect puts it on the wire."""

    text: str
    """Without the stop string."""
    finish_reason: str
    """stop or length."""
    stop_reason: str | None
    """The stop string that ended it, if one did."""
    prompt_tokens: int
    completion_tokens: int
    """The stop string's included, as engines count."""


@dataclass(frozen=True, slots=True)
class Temper:
    """How often the model goes wrong, as shares of answers."""

    seed: int = 0
    wrong_rate: float = 0.0
    malformed_rate: float = 0.0
    """Lists in another form than asked for; other answers that get stuck or are in another language."""
    refusal_rate: float = 0.0
    truncation_rate: float = 0.0
    biased_rate: float = 0.0
    """As judge: cases in which the first answer that it reads is the best, whichever it is."""


def speak(asked: Asked, temper: Temper) -> Said:
    """Answer a prompt. Raises ValueError for a JSON schema that it can't follow."""
    draw = Draw(temper.seed, asked.prompt, asked.effective_seed, asked.temperature)
    turns = read_turns(asked.prompt)
    wanted = recognise(turns)
    if asked.json_schema is not None:
        return finish(write_structured(asked.json_schema, wanted.about, draw), asked)
    if wanted.kind not in RAW and draw.chance(temper.refusal_rate):
        return finish(answers.refuse(draw), asked)
    thinks = _THINK in turns[0].text.lower() and turns[0].role == "system"
    if draw.chance(temper.truncation_rate):
        return finish(("<think>\n" if thinks else "") + answers.ramble(wanted.about, draw, tokens=asked.max_tokens), asked)
    thoughts = f"<think>\n{answers.think(wanted.about, draw)}\n</think>\n\n" if thinks else ""
    return finish(thoughts + _compose(wanted, draw, temper), asked)


def finish(text: str, asked: Asked) -> Said:
    """End a text where its first stop string or max_tokens ends it."""
    whole = text + TURN_END if TURN_END in asked.stop else text
    found = min(((whole.index(stop), stop) for stop in asked.stop if stop and stop in whole), default=None)
    ended = whole[: found[0] + len(found[1])] if found else whole
    cut = cut_tokens(ended, asked.max_tokens)
    tokens = (count_tokens(asked.prompt), count_tokens(cut))
    if len(cut) < len(ended):
        return Said(cut, "length", None, *tokens)
    return Said(whole[: found[0]] if found else whole, "stop", found[1] if found else None, *tokens)


def _compose(wanted: Wanted, draw: Draw, temper: Temper) -> str:
    if wanted.kind in LISTS:
        return write_list(_items(wanted, draw), draw, malformed_rate=temper.malformed_rate)
    if wanted.kind in REWRITES:
        return rewrites.rewrite(wanted.kind, wanted.about, draw, malformed_rate=temper.malformed_rate)
    match wanted.kind:
        case "rewrite":
            return topics.rewrite_question(wanted.about, draw)
        case "evolve":
            return requests.evolve_instruction(wanted.about, draw)
        case "crossover" | "mutation" | "solution" | "fitness":
            return _program(wanted, draw, temper)
        case "is_notion":
            return topics.is_notion(wanted.about, draw, malformed_rate=temper.malformed_rate)
        case "similar_problem":
            return pose_like(wanted.about, draw)
        case "harder_problem":
            return pose_harder(wanted.about, draw)
        case "next_message":
            return topics.next_message(wanted.about, draw)
        case "user_turn":
            return topics.opening_question(draw)
        case "continuation":
            return topics.continue_series(wanted.about, wanted.count, draw, malformed_rate=temper.malformed_rate)
        case "compare":
            return judging.compare(wanted.quoted, draw, biased_rate=temper.biased_rate, malformed_rate=temper.malformed_rate)
        case "rate":
            return judging.rate(wanted.quoted, draw, biased_rate=temper.biased_rate, malformed_rate=temper.malformed_rate)
    if looks_mathematical(wanted.about):
        return write_solution(wanted.about, draw, wrong_rate=temper.wrong_rate)
    if programs.is_known(wanted.about):
        return programs.solve(wanted.about, draw, wrong_rate=temper.wrong_rate)
    if draw.chance(temper.malformed_rate):
        return answers.loop(wanted.about, draw) if draw.chance(0.5) else answers.speak_foreign(draw)
    return answers.write_answer(wanted.about, draw)


def _program(wanted: Wanted, draw: Draw, temper: Temper) -> str:
    match wanted.kind:
        case "crossover":
            return programs.new_problem(draw)
        case "mutation":
            return requests.evolve_instruction(wanted.about, draw)
        case "solution":
            return programs.solve(wanted.about, draw, wrong_rate=temper.wrong_rate)
    return programs.judge(wanted.about, draw, malformed_rate=temper.malformed_rate)


def _items(wanted: Wanted, draw: Draw) -> list[str]:
    match wanted.kind:
        case "topics":
            return topics.broad_topics(wanted.count, draw)
        case "subtopics":
            return topics.subtopics(wanted.about, wanted.count, draw)
        case "math_topics":
            return topics.mathematical_topics(wanted.count, draw)
        case "math_problems":
            return pose_problems(wanted.about, wanted.count, draw)
        case "writing_tasks":
            return requests.writing_tasks(wanted.about, wanted.count, draw)
        case "programming_keywords":
            return requests.programming_keywords(wanted.count, draw)
        case "programming_problems":
            return requests.programming_problems(wanted.about, wanted.count, draw)
        case "document_instructions":
            return requests.document_instructions(wanted.about, wanted.count, draw)
        case "persona_requests":
            return requests.persona_requests(wanted.about, wanted.count, draw)
        case _:
            return topics.questions(wanted.about, wanted.count, draw)

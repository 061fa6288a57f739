"""Model cards: what is true of a model wherever it is served.

One YAML file a model in `schemas/cards/`; `GRISTMILL_CARDS` may name a folder with more. A card renders conversations by its own chat
template, with the model's control tokens taken out of what users and seeds wrote, so that no text can break out of its turn.
"""

import re
import unicodedata
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.engine import Completion, EmbedRequest, GenerateRequest, RewardRequest, Sampling
from schemas.errors import NotFoundError, SettingsError
from schemas.licences import find_licence
from schemas.records import Message, Messages

CARDS = Path(__file__).parent / "cards"
_USERS_WORDS = "\ue000"
"""Stands for what a user says when a template is asked how a user's turn begins and ends: a character of no meaning to anyone."""


class RewardFacts(BaseModel):
    """What a reward model's numbers are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attributes: tuple[str, ...]
    """In the order served, after `skip` leading numbers."""
    skip: int = 0
    """Leading numbers without meaning: 340B-Reward serves nine floats of which the last five count."""
    weights: dict[str, float] | None = None
    """The published reduction to one number; None for one-number models."""
    comparable_across_prompts: bool
    """False where a number ranks answers to one prompt only: absolute thresholds are then refused."""
    limits: tuple[float, float] | None = None
    """Outside of these a number is no grade but a fault, and its row is dropped; wider than the usual range, which models overstep a little."""
    logit: int | None = None
    """Of a one-number model served as a text generator: the vocabulary index whose logit at the first generated position is the reward."""


class ReasoningFacts(BaseModel):
    """How a model that can reason before it answers is told to, and how its thoughts are told from its answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    switch_on: str
    """The words that switch it on, empty where it is on by default."""
    switch_off: str
    where: Literal["system", "user"] = "system"
    """Which message the words are added to: the system message, or the last one of the user."""
    opens: str = "<think>"
    closes: str = "</think>"


class ModelCard(BaseModel):
    """A model's identity, terms and language."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    title: str
    role: Literal["base", "instruct", "reward", "embedding"]
    licences: tuple[str, ...] = Field(min_length=1)
    """Every licence that applies, by id (schemas/licences.py)."""
    revision: str
    context_tokens: int
    chat_template: str = ""
    """Jinja over `messages` (role, content) and `generate` (true: end with the opening of an assistant turn)."""
    stop: tuple[str, ...] = ()
    control_tokens: tuple[str, ...] = ()
    """Strings with a meaning to the template, removed from message contents."""
    system_turn: bool = True
    """False: the model knows no system role; a system message is folded into the first user turn."""
    reward: RewardFacts | None = None
    reasoning: ReasoningFacts | None = None
    """None where the model has no reasoning that can be switched."""
    rehearsal: bool = False
    stands_in: str | None = None
    """The id of the rehearsal card that takes this one's place under `--rehearse`."""
    source: str = ""

    @property
    def licence(self) -> str:
        """All licences in one string, for a row's provenance."""
        return " AND ".join(self.licences)

    @property
    def licence_version(self) -> str:
        """The versions of those licences' texts, in the same order."""
        return " AND ".join(find_licence(name).version for name in self.licences)

    def render(self, messages: Messages, *, generate: bool) -> str:
        """Write a conversation in the model's own format."""
        return self._write(self.defuse(messages), generate=generate)

    def defuse(self, messages: Messages) -> Messages:
        """Take the model's control tokens out of what a conversation says: servers that render by themselves (OpenAI's wire) read them as well."""
        return tuple(replace(turn, content=self._defuse(turn.content)) for turn in messages)

    def generate_request(self, messages: Messages, sampling: Sampling, seed: int) -> GenerateRequest:
        """Ask for the next assistant turn."""
        safe = self._switch_reasoning(self.defuse(messages), sampling.reasoning)
        return GenerateRequest(self.id, self.revision, safe, self._write(safe, generate=True), self._with_stops(sampling), seed)

    def part_reasoning(self, completion: Completion) -> Completion:
        """Tell a model's thoughts from its answer. Thoughts that never close are all that it said: there is no answer."""
        facts = self.reasoning
        if facts is None or completion.reasoning:
            return completion
        before, closing, after = completion.text.rpartition(facts.closes)
        if closing:
            return replace(completion, text=after.lstrip(), reasoning=before.replace(facts.opens, "", 1).strip())
        start, opening, thoughts = completion.text.partition(facts.opens)
        return replace(completion, text=start.strip(), reasoning=thoughts.strip()) if opening else completion

    def continue_request(self, prompt: str, sampling: Sampling, seed: int) -> GenerateRequest:
        """Ask to go on from a raw text, less the control tokens in it (base models)."""
        return GenerateRequest(self.id, self.revision, (), self._defuse(prompt), self._with_stops(sampling), seed)

    def user_turn_request(self, system: str, sampling: Sampling, seed: int) -> GenerateRequest:
        """Ask for what a user would say: the template's text up to the user's words, to be gone on from until the turn ends (Magpie).

        Raises SettingsError where the card has no chat template.
        """
        turns = (*((Message("system", system),) if system else ()), Message("user", _USERS_WORDS))
        opening, found, ending = self.render(turns, generate=False).partition(_USERS_WORDS)
        if not found:
            raise SettingsError(f"the card of {self.id} has no chat template, so nobody can tell how a user's turn begins: add `chat_template`")
        ends = (ending.strip(),) if ending.strip() else ()
        return GenerateRequest(self.id, self.revision, (), opening, self._with_stops(replace(sampling, stop=(*sampling.stop, *ends))), seed)

    def reward_request(self, messages: Messages) -> RewardRequest:
        """Ask for the grade of the last assistant turn."""
        safe = self.defuse(messages)
        return RewardRequest(self.id, self.revision, safe, self._write(safe, generate=False))

    def embed_request(self, text: str) -> EmbedRequest:
        """Ask for a text's vector."""
        return EmbedRequest(self.id, self.revision, text)

    def _write(self, safe: Messages, *, generate: bool) -> str:
        turns = [{"role": turn.role, "content": turn.content} for turn in self._fold_system(safe)]
        return _template(self.chat_template).render(messages=turns, generate=generate)

    def _switch_reasoning(self, messages: Messages, wanted: bool | None) -> Messages:
        words = "" if self.reasoning is None or wanted is None else self.reasoning.switch_on if wanted else self.reasoning.switch_off
        if not words or self.reasoning is None:
            return messages
        if self.reasoning.where == "user":
            return (*messages[:-1], replace(messages[-1], content=f"{messages[-1].content} {words}"))
        if messages[0].role == "system":
            return (Message("system", f"{words}\n\n{messages[0].content}"), *messages[1:])
        return (Message("system", words), *messages)

    def _with_stops(self, sampling: Sampling) -> Sampling:
        return replace(sampling, stop=tuple(dict.fromkeys((*sampling.stop, *self.stop))))

    def _defuse(self, content: str) -> str:
        plain = _without(self.control_tokens, content)
        if plain.isascii():
            return plain
        # Some tokenizers normalise first: full-width brackets become brackets, what is invisible goes, and there the token is.
        seen = _INVISIBLE.sub("", unicodedata.normalize("NFKC", plain))
        return _without(self.control_tokens, seen) if any(token in seen for token in self.control_tokens) else plain

    def _fold_system(self, messages: Messages) -> Messages:
        if self.system_turn or len(messages) < 2 or messages[0].role != "system":
            return messages
        system, first, *rest = messages
        return (Message("user", f"{system.content}\n\n{first.content}"), *rest)


_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0001-\U000e01ef]")


def _without(tokens: tuple[str, ...], text: str) -> str:
    # Repeated until nothing changes: removing one token may join the halves of another.
    while any(token in text for token in tokens):
        for token in tokens:
            text = text.replace(token, "")
    return text


@cache
def _template(source: str) -> Template:
    return ImmutableSandboxedEnvironment(keep_trailing_newline=True).from_string(source)


def load_card(name: str, extra: Path | None = None) -> ModelCard:
    """Find a card by id. Raises NotFoundError with the ids there are."""
    cards = all_cards(extra)
    if name not in cards:
        raise NotFoundError(f"no model card {name!r}: there are {', '.join(sorted(cards))}; add a YAML file to the folder that GRISTMILL_CARDS names")
    return cards[name]


@cache
def all_cards(extra: Path | None = None) -> dict[str, ModelCard]:
    """Read every card, the built-in ones first. Raises SettingsError for one that is malformed or named twice."""
    paths = sorted(CARDS.glob("*.yaml")) + (sorted(extra.glob("*.yaml")) if extra else [])
    cards: dict[str, ModelCard] = {}
    for path in paths:
        try:
            card = ModelCard.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (ValidationError, yaml.YAMLError) as error:
            raise SettingsError(f"model card {path} is malformed: {error}") from error
        if card.id in cards:
            raise SettingsError(f"model card {path} repeats the id {card.id!r}: rename one of the two")
        cards[card.id] = card
    return cards

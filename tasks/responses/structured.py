"""One answer in JSON that fits a schema: the engine is held to it while it writes, and the verifier `json_schema` checks that it did.

An engine that can't be held (TensorRT-LLM's llmapi dialect, for one) is refused when the run is planned. Only the schema is verified: whether what stands in it
is right is for a reward model to say.
"""

import json
from dataclasses import replace
from typing import Any

from pydantic import field_validator

from schemas.engine import Sampling
from schemas.recipe import SamplingOptions, Strict
from schemas.records import Conversation, Drop, Message, Messages, Prompt, Reference
from tasks.craft.conversing import System, lose_sample, make_conversation, with_system, without_answer
from tasks.technique import Ask
from tasks.verifiers import json_schema

NAME = "structured"

_ANY = "{}"


class Options(Strict):
    """Which schema, and how the model is told of it."""

    fits: dict[str, Any] | None = None
    """The JSON schema, written as YAML; null takes each prompt's own, where its reference is one (seeds with the verifier json_schema)."""
    told: bool = True
    """Say the schema in the system message as well; without that, a model is only held to it."""
    system: System = ""
    """A system message before the prompt, or several, of which each prompt draws one by stable hash; a prompt's own is kept in its place."""
    sampling: SamplingOptions = SamplingOptions()
    """How the responder samples."""

    @field_validator("fits")
    @classmethod
    def _is_a_schema(cls, fits: dict[str, Any] | None) -> dict[str, Any] | None:
        fault = json_schema.find_schema_fault(json.dumps(fits)) if fits is not None else None
        if fault:
            raise ValueError(f"no JSON schema: {fault}")
        return fits


def calls(options: Options) -> int:
    """One call a sample."""
    return 1


def samplings(options: Options) -> tuple[tuple[str, Sampling], ...]:
    """Say which roles are asked, and how they sample."""
    return (("responder", _held(options, _ANY if options.fits is None else json.dumps(options.fits, sort_keys=True))),)


async def respond(prompt: Prompt, sample_index: int, options: Options, ask: Ask) -> Conversation | Drop:
    """Answer a prompt once, in JSON."""
    schema = _schema_for(prompt, options)
    if schema is None:
        return lose_sample(prompt, NAME, sample_index, "no_schema", detail="the recipe gives none, and the prompt's reference is none")
    messages = _tell(with_system(prompt, options.system), schema) if options.told else with_system(prompt, options.system)
    told = await ask("responder", messages, _held(options, schema), label=f"sample/{sample_index}")
    text = told.completion.text.strip()
    if not text:
        return lose_sample(prompt, NAME, sample_index, without_answer(told), raw=told.completion.text or told.completion.reasoning)
    made = make_conversation(prompt, (*messages, Message("assistant", text)), (told,), response=NAME, sample_index=sample_index)
    return replace(made, reference=Reference("json_schema", schema))


def _held(options: Options, schema: str) -> Sampling:
    return replace(options.sampling.sampling(), json_schema=schema)


def _schema_for(prompt: Prompt, options: Options) -> str | None:
    if options.fits is not None:
        return json.dumps(options.fits, sort_keys=True)
    known = prompt.reference
    return known.value if known and known.verifier == "json_schema" else None


def _tell(messages: Messages, schema: str) -> Messages:
    """Say what form is wanted, after whatever else the system message says."""
    words = f"Answer with one JSON value and nothing around it. It must fit this JSON schema:\n{schema}"
    if messages[0].role == "system":
        return (Message("system", f"{messages[0].content}\n\n{words}"), *messages[1:])
    return (Message("system", words), *messages)

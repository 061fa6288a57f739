"""The served `reward` model on TensorRT-LLM: a rendered conversation in, the logits that are its rewards out.

Rendered into a repository as `reward/1/model.py`, so it imports nothing of ours. The rewards are a slice of the logits of the first position that the model
would generate: for Llama-3.1-Nemotron-70B-Reward that of token 0 (its card), for a head of several numbers its first rows. Only the slice leaves the
server: a whole row of logits is half a megabyte or one.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import triton_python_backend_utils as pb


class Inner(Protocol):
    """What holds the weights."""

    async def logits(self, sentence: bytes, most: int) -> tuple[Any, bool]:
        """Give the logits that follow a text of at most so many tokens, and whether it was cut."""
        ...


class TritonPythonModel:
    """Called by Triton."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read what this model's config says."""
        told = {key: value["string_value"] for key, value in json.loads(args["model_config"])["parameters"].items()}
        self._slice = slice(*map(int, told["logits"].split(":")))
        self._context = int(told["context_tokens"])
        self._inner: Inner = Engine() if told["inner"] == "engine" else LanguageModel(Path(args["model_repository"]) / args["model_version"] / "llm.json")

    async def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Grade a batch of requests, all at once: what is below batches in flight."""
        return list(await asyncio.gather(*map(self._answer, requests)))

    async def _answer(self, request: Any) -> Any:
        sentences = pb.get_input_tensor_by_name(request, "sentences").as_numpy().reshape(-1)
        try:
            graded = await asyncio.gather(*(self._inner.logits(sentence, self._context) for sentence in sentences))
        except InnerError as error:
            return pb.InferenceResponse(error=error.told)
        except Exception as error:  # whatever it is, the one who asked is told
            return pb.InferenceResponse(error=pb.TritonError(f"{type(error).__name__}: {error}"))
        rewards = np.stack([logits[self._slice] for logits, _ in graded]).astype(np.float32)
        exceeded = np.array([[cut] for _, cut in graded], np.int32)
        return pb.InferenceResponse([pb.Tensor("rewards", rewards), pb.Tensor("exceeded", exceeded)])


class Engine:
    """The engine path: `preprocessing` tokenises, `tensorrt_llm` gives one more token's logits."""

    async def logits(self, sentence: bytes, most: int) -> tuple[Any, bool]:
        """Ask both."""
        query = {"QUERY": _row(sentence, np.object_), "REQUEST_OUTPUT_LEN": _row(1, np.int32)}
        tokens = await _ask("preprocessing", ("INPUT_ID", "OUT_END_ID", "OUT_PAD_ID"), query)
        ids = tokens["INPUT_ID"].reshape(-1)
        asked = {
            "input_ids": ids[:most].reshape(1, -1).astype(np.int32),
            "input_lengths": _row(min(len(ids), most), np.int32),
            "request_output_len": _row(1, np.int32),
            "end_id": tokens["OUT_END_ID"].reshape(1, 1),
            "pad_id": tokens["OUT_PAD_ID"].reshape(1, 1),
            "runtime_top_k": _row(1, np.int32),
            "return_generation_logits": _row(True, np.bool_),
        }
        answer = await _ask("tensorrt_llm", ("generation_logits",), asked)
        return _first_position(answer["generation_logits"]), len(ids) > most


class LanguageModel:
    """TensorRT-LLM's LLM API in this process: upstream's own `llmapi` model gives no logits."""

    def __init__(self, arguments: Path) -> None:
        from tensorrt_llm import LLM, SamplingParams

        self._llm = LLM(**json.loads(arguments.read_text(encoding="utf-8")))
        # The chat template is the client's, its first token included.
        self._sampling = SamplingParams(max_tokens=1, temperature=0.0, return_generation_logits=True, add_special_tokens=False)

    async def logits(self, sentence: bytes, most: int) -> tuple[Any, bool]:
        """Ask the LLM."""
        ids = self._llm.tokenizer.encode(sentence.decode(), add_special_tokens=False)
        result = await self._llm.generate_async(ids[:most], self._sampling)
        found = result.outputs[0].generation_logits
        return _first_position(np.asarray(found.float().cpu() if hasattr(found, "cpu") else found)), len(ids) > most


class InnerError(Exception):
    """A model that we asked said no."""

    def __init__(self, told: Any) -> None:
        super().__init__(str(told))
        self.told = told


def _first_position(logits: Any) -> Any:
    """Of one conversation's logits [..., position, vocabulary]: those of the first generated position."""
    return logits.reshape(-1, logits.shape[-1])[0]


def _row(value: Any, dtype: Any) -> Any:
    return np.array([[value]], dtype=dtype)


async def _ask(model: str, outputs: Sequence[str], inputs: dict[str, Any]) -> dict[str, Any]:
    tensors = [pb.Tensor(name, value) for name, value in inputs.items()]
    response = await pb.InferenceRequest(model_name=model, requested_output_names=list(outputs), inputs=tensors).async_exec()
    if response.has_error():
        raise InnerError(response.error())
    return {name: pb.get_output_tensor_by_name(response, name).as_numpy() for name in outputs}

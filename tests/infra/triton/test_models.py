"""What each served model says on the wire, asked as its dialect asks."""

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest

from infra.triton.rehearsal_language.tokens import count_tokens
from infra.triton.server import RehearsalOptions, ServedTriton, read_metrics, serve_triton
from tests.infra.triton.wire import Ask, a_conversation, a_prompt, client_of, read_answer, tensors

pytestmark = pytest.mark.triton

SUM = a_prompt("What is 20 + 22?")
ESSAY = a_prompt("Why do glaciers matter to hydrologists?")


def stream(served: ServedTriton, model: str, *, rank: int = 2, **values: Any) -> list[dict[str, Any]]:
    """Ask a decoupled model and gather its responses."""
    from tritonclient.grpc.aio import InferenceServerClient

    async def gather() -> list[dict[str, Any]]:
        async def requests() -> Any:
            yield {"model_name": model, "inputs": tensors(values, rank=rank)}

        async with InferenceServerClient(f"127.0.0.1:{served.grpc_port}") as client:
            found = [(result, error) async for result, error in client.stream_infer(requests())]
        assert not [error for _, error in found if error]
        return [read_answer(result) for result, _ in found]

    return asyncio.run(gather())


def figure(served: ServedTriton, name: str, model: str) -> float:
    (line,) = [line for line in read_metrics(served).splitlines() if line.startswith(f'{name}{{model="{model}"')]
    return float(line.split()[-1])


def test_ensemble_repeats_the_prompt_unless_told_not_to(ask: Ask) -> None:
    echoed = ask("ensemble", text_input=SUM, max_tokens=100, return_num_input_tokens=True, return_num_output_tokens=True)
    alone = ask("ensemble", text_input=SUM, max_tokens=100, return_num_input_tokens=True, return_num_output_tokens=True, exclude_input_in_output=True)
    assert echoed["text_output"] == SUM + alone["text_output"]
    assert alone["text_output"].endswith("The answer is 42.")
    assert echoed["num_output_tokens"] == alone["num_output_tokens"] + alone["num_input_tokens"]
    assert alone["num_output_tokens"] == count_tokens(alone["text_output"])


def test_ensemble_counts_no_tokens_unasked(ask: Ask) -> None:
    answer = ask("ensemble", text_input=SUM, max_tokens=100)
    assert (answer["num_input_tokens"], answer["num_output_tokens"]) == (0, 0)


def test_ensemble_stops_at_max_tokens(ask: Ask) -> None:
    answer = ask("ensemble", text_input=ESSAY, max_tokens=5, exclude_input_in_output=True, return_num_output_tokens=True)
    assert answer["num_output_tokens"] == count_tokens(answer["text_output"]) == 5


def test_ensemble_leaves_the_stop_word_in_the_text(ask: Ask) -> None:
    answer = ask("ensemble", text_input=SUM, max_tokens=100, stop_words=["answer", "<extra_id_1>"], exclude_input_in_output=True)
    assert answer["text_output"].endswith("The answer")
    answer = ask("ensemble", text_input=SUM, max_tokens=100, stop_words=["<extra_id_1>"], exclude_input_in_output=True)
    assert answer["text_output"].endswith("The answer is 42.<extra_id_1>")


def test_ensemble_answers_by_seed_unless_greedy(ask: Ask) -> None:
    def say(**more: Any) -> str:
        return str(ask("ensemble", text_input=ESSAY, max_tokens=200, **more)["text_output"])

    assert say(seed=1) == say(seed=1) != say(seed=2)
    assert say(seed=1, temperature=0.0) == say(seed=2, temperature=0.0)


def test_ensemble_accepts_every_optional_number_and_flag_of_its_contract(ask: Ask) -> None:
    numbers = {"top_k": 5, "top_p": 0.9, "repetition_penalty": 1.1, "length_penalty": 1.0, "min_tokens": 1, "beam_width": 1, "end_id": 2, "pad_id": 2}
    words = {"bad_words": ["never"], "decoder_text_input": "", "embedding_bias_words": ["ice"]}
    answer = ask("ensemble", text_input=SUM, max_tokens=50, return_log_probs=True, return_perf_metrics=True, **numbers, **words)
    assert "The answer is 42." in answer["text_output"]
    assert answer["cum_log_probs"] == 0.0


@pytest.mark.parametrize(
    ("more", "message"),
    [({"stream": True}, "decoupled"), ({"num_return_sequences": 2}, "decoupled"), ({"max_tokens": 0}, "max_tokens must be at least 1")],
    ids=["stream", "sequences", "no tokens"],
)
def test_ensemble_calls_a_bad_request_invalid(triton: ServedTriton, more: dict[str, Any], message: str) -> None:
    from tritonclient.utils import InferenceServerException

    inputs = tensors({"text_input": SUM, "max_tokens": 10} | more)
    with client_of(triton) as client, pytest.raises(InferenceServerException, match=message) as caught:
        client.infer("ensemble", inputs)
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_bls_says_what_the_ensemble_says(triton: ServedTriton, ask: Ask) -> None:
    values: dict[str, Any] = {"text_input": ESSAY, "max_tokens": 80, "seed": 7, "exclude_input_in_output": True}
    (answer,) = stream(triton, "tensorrt_llm_bls", **values)
    assert answer["text_output"] == ask("ensemble", **values)["text_output"]


def test_bls_streams_deltas_whose_tokens_add_up(triton: ServedTriton) -> None:
    values: dict[str, Any] = {"text_input": ESSAY, "max_tokens": 80, "exclude_input_in_output": True, "return_num_output_tokens": True}
    (whole,) = stream(triton, "tensorrt_llm_bls", **values)
    chunks = stream(triton, "tensorrt_llm_bls", stream=True, **values)
    assert len(chunks) > 1
    assert "".join(chunk["text_output"] for chunk in chunks) == whole["text_output"]
    assert sum(chunk["num_output_tokens"] for chunk in chunks) == whole["num_output_tokens"]


def test_bls_gives_several_different_sequences(triton: ServedTriton) -> None:
    answers = stream(triton, "tensorrt_llm_bls", text_input=ESSAY, max_tokens=80, num_return_sequences=3)
    assert [answer["sequence_index"] for answer in answers] == [0, 1, 2]
    assert len({answer["text_output"] for answer in answers}) == 3


def test_llmapi_tells_why_it_stopped(ask: Ask) -> None:
    asked: dict[str, Any] = {"sampling_param_exclude_input_from_output": True, "return_finish_reason": True, "return_stop_reason": True}
    stopped = ask("tensorrt_llm", rank=1, text_input=SUM, sampling_param_max_tokens=50, sampling_param_stop=["<extra_id_1>"], **asked)
    cut = ask("tensorrt_llm", rank=1, text_input=ESSAY, sampling_param_max_tokens=4, **asked)
    assert stopped["text_output"].endswith("The answer is 42.")
    assert (stopped["finish_reason"], stopped["stop_reason"]) == ("stop", "<extra_id_1>")
    assert (cut["finish_reason"], cut["stop_reason"], count_tokens(cut["text_output"])) == ("length", "None", 4)


def test_llmapi_sends_only_what_was_asked_for(ask: Ask) -> None:
    assert set(ask("tensorrt_llm", rank=1, text_input=SUM)) == {"text_output"}


def test_vllm_reads_its_sampling_from_json(triton: ServedTriton) -> None:
    sampling = json.dumps({"max_tokens": 6, "seed": 3, "temperature": 0.5, "stop": ["<extra_id_1>"]})
    flags: dict[str, Any] = {"exclude_input_in_output": True, "return_finish_reason": True, "return_num_input_tokens": True, "return_num_output_tokens": True}
    (answer,) = stream(triton, "vllm_model", rank=1, text_input=ESSAY, sampling_parameters=sampling, **flags)
    assert (answer["finish_reason"], answer["num_output_tokens"], count_tokens(answer["text_output"])) == ("length", 6, 6)
    assert answer["num_input_tokens"] == count_tokens(ESSAY)


def test_reward_prefers_the_right_answer(ask: Ask) -> None:
    right = ask("reward", sentences=a_conversation("What is 20 + 22?", "20 + 22 = 42.\nThe answer is 42."))
    wrong = ask("reward", sentences=a_conversation("What is 20 + 22?", "20 + 22 = 44.\nThe answer is 44."))
    assert len(right["rewards"]) == 5
    assert right["rewards"][1] > wrong["rewards"][1] + 1
    assert right["exceeded"] == 0


def test_reward_says_when_a_conversation_is_too_long(ask: Ask) -> None:
    assert ask("reward", sentences=a_conversation("Go on.", "and so on " * 2000))["exceeded"] == 1


def test_embedding_has_length_one_and_one_size(ask: Ask) -> None:
    vectors = [
        ask("embedding", text_input=text)["embedding"] for text in ("bird migration over the sea", "a much longer text about household budgets and rent")
    ]
    assert {len(vector) for vector in vectors} == {128}
    assert all(math.isclose(math.hypot(*vector), 1, rel_tol=1e-5) for vector in vectors)


def test_as_many_calls_are_served_at_once_as_there_are_slots(triton_python: Path) -> None:
    from tritonclient.grpc.aio import InferenceServerClient

    async def ask_all(served: ServedTriton) -> None:
        async with InferenceServerClient(f"127.0.0.1:{served.grpc_port}") as client:
            calls = [tensors({"text_input": a_prompt(f"What is {number} + 1?"), "max_tokens": 30}) for number in range(40)]
            await asyncio.gather(*(client.infer("ensemble", call) for call in calls))

    with serve_triton(RehearsalOptions(latency_s=0.2, latency_sigma=0, slots=8), python=triton_python) as served:
        asyncio.run(ask_all(served))
        assert figure(served, "rehearsal_peak_in_service", "rehearsal_engine") == 8


def test_cancelling_reaches_a_model_called_directly(triton_python: Path) -> None:
    from tritonclient.grpc.aio import InferenceServerClient

    async def give_up(served: ServedTriton) -> float:
        async with InferenceServerClient(f"127.0.0.1:{served.grpc_port}") as client:
            call = asyncio.create_task(client.infer("tensorrt_llm", tensors({"text_input": SUM}, rank=1)))
            while figure(served, "rehearsal_peak_in_service", "tensorrt_llm") < 1:
                await asyncio.sleep(0.05)
            call.cancel()
            while not figure(served, "rehearsal_cancelled", "tensorrt_llm"):
                await asyncio.sleep(0.05)
        return figure(served, "rehearsal_cancelled", "tensorrt_llm")

    with serve_triton(RehearsalOptions(latency_s=600, latency_sigma=0), python=triton_python) as served:
        assert asyncio.run(asyncio.wait_for(give_up(served), 60)) == 1


def test_replay_and_call_log(triton_python: Path, tmp_path: Path) -> None:
    recorded = tmp_path / "recorded.jsonl"
    recorded.write_text(json.dumps({"prompt": "How far is it?", "answers": ["Three miles.", "Four miles."]}) + "\n", encoding="utf-8")
    options = RehearsalOptions(latency_s=0, replay=(recorded,), call_log=tmp_path / "calls.jsonl")
    with serve_triton(options, python=triton_python) as served, client_of(served) as client:
        texts = [
            read_answer(client.infer("ensemble", tensors({"text_input": a_prompt("How far is it?"), "max_tokens": 9, "seed": seed}), request_id=f"call-{seed}"))
            for seed in (70, 5, 70, 9)
        ]
        calls = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text(encoding="utf-8").splitlines()]
    said = [answer["text_output"].removeprefix(a_prompt("How far is it?")) for answer in texts]
    assert said == ["Three miles.", "Four miles.", "Three miles.", "Three miles."]
    assert [(call["model"], call["seed"]) for call in calls] == [("rehearsal_engine", seed) for seed in (70, 5, 70, 9)]


def test_faults_and_a_full_queue_are_errors_that_asking_again_may_cure(triton_python: Path) -> None:
    from tritonclient.grpc.aio import InferenceServerClient
    from tritonclient.utils import InferenceServerException

    async def ask_all(served: ServedTriton) -> list[Any]:
        async with InferenceServerClient(f"127.0.0.1:{served.grpc_port}") as client:
            calls = [tensors({"text_input": SUM, "max_tokens": 30}) for _ in range(60)]
            return list(await asyncio.gather(*(client.infer("ensemble", call) for call in calls), return_exceptions=True))

    with serve_triton(RehearsalOptions(latency_s=0.05, slots=20, queue=20, fault_rate=0.5), python=triton_python) as served:
        answers = asyncio.run(ask_all(served))
    errors = [answer for answer in answers if isinstance(answer, InferenceServerException)]
    assert len(errors) < len(answers)
    assert {error.status() for error in errors} == {"StatusCode.UNAVAILABLE", "StatusCode.INTERNAL"}
    assert [error for error in errors if "Exceeds maximum queue size" in error.message()]


def test_ensemble_and_vllm_answer_within_a_json_schema(triton: ServedTriton, ask: Ask) -> None:
    schema = {"type": "object", "properties": {"verdict": {"enum": ["A", "B"]}, "score": {"type": "integer", "minimum": 1, "maximum": 5}}}
    guided = {"guided_decoding_guide_type": "json_schema", "guided_decoding_guide": json.dumps(schema)}
    texts = [ask("ensemble", text_input=ESSAY, max_tokens=100, exclude_input_in_output=True, **guided)["text_output"]]
    sampling = json.dumps({"max_tokens": 100, "structured_outputs": {"json": schema}})
    texts += [one["text_output"] for one in stream(triton, "vllm_model", rank=1, text_input=ESSAY, exclude_input_in_output=True, sampling_parameters=sampling)]
    for verdict in map(json.loads, texts):
        assert verdict["verdict"] in {"A", "B"}
        assert 1 <= verdict["score"] <= 5

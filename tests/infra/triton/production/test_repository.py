"""Rendered repositories: parsed with Triton's own definition, and served by a real Triton with stand-ins for tokenizer and engine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.engines.session import EngineSession
from infra.settings import Address, read_settings
from infra.triton.production.repository import TEMPLATES, render
from infra.triton.production.shapes import MODELS, choose_shape
from infra.triton.server import ServedTriton, serve_triton
from schemas.engine import Completion, Reward, Sampling
from schemas.errors import EngineError, SettingsError
from schemas.model_card import load_card
from schemas.records import Message
from tests.infra.triton.production import stand_ins
from tests.infra.triton.wire import client_of, read_answer, tensors

EVERY = [
    (card, hardware, wire)
    for card, model in MODELS.items()
    for wire in model.wires
    for hardware in ("8xH200", "8xH100", "16xH100")
    if not (wire == "aligner" and hardware == "8xH100")
]


def parse(config: Path) -> Any:
    from google.protobuf import text_format  # type: ignore[import-untyped]
    from tritonclient.grpc import model_config_pb2

    return text_format.Parse(config.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())


def rendered(folder: Path, card: str, *, hardware: str = "8xH100", wire: Any = None) -> Path:
    return render(choose_shape(card, hardware, wire=wire), folder).folder


@pytest.mark.parametrize(("card", "hardware", "wire"), EVERY)
def test_every_rendered_config_is_what_triton_defines(tmp_path: Path, card: str, hardware: str, wire: Any) -> None:
    made = render(choose_shape(card, hardware, wire=wire), tmp_path)
    configs = {path.parent.name: parse(path) for path in tmp_path.glob("repository/*/config.pbtxt")}

    assert set(configs) == set(made.models)
    assert [name for name, config in configs.items() if config.name != name] == []
    assert [path for path in tmp_path.glob("repository/*/config.pbtxt") if "${" in path.read_text(encoding="utf-8")] == []


def test_no_template_is_left_unused(tmp_path: Path) -> None:
    for number, (card, hardware, wire) in enumerate(EVERY):
        render(choose_shape(card, hardware, wire=wire), tmp_path / str(number))

    assert {path.name for path in TEMPLATES.iterdir()} == {"llmapi"} | {path.parent.name for path in tmp_path.glob("*/repository/*/config.pbtxt")}


def test_ensemble_hands_each_step_tensors_that_it_declares_with_their_types(tmp_path: Path) -> None:
    folder = rendered(tmp_path, "nemotron-4-340b-instruct") / "repository"
    configs = {name: parse(folder / name / "config.pbtxt") for name in ("ensemble", "preprocessing", "tensorrt_llm", "postprocessing")}
    types = {tensor.name: tensor.data_type for tensor in configs["ensemble"].input}
    for step in configs["ensemble"].ensemble_scheduling.step:
        takes = {tensor.name: tensor.data_type for tensor in configs[step.model_name].input}
        gives = {tensor.name: tensor.data_type for tensor in configs[step.model_name].output}
        assert {key: types[value] for key, value in step.input_map.items()} == {key: takes[key] for key in step.input_map}
        types |= {value: gives[key] for key, value in step.output_map.items()}
    assert {tensor.name: tensor.data_type for tensor in configs["ensemble"].output}.items() <= types.items()


def test_paths_in_a_repository_are_where_the_server_sees_them(tmp_path: Path) -> None:
    render(choose_shape("llama-3.1-nemotron-70b-reward", "8xH100"), tmp_path, at="/models")
    config = parse(tmp_path / "repository" / "tensorrt_llm" / "config.pbtxt")

    assert config.parameters["gpt_model_path"].string_value == "/models/engine"
    assert config.parameters["tokenizer_dir"].string_value == "/models/tokenizer"


def test_guided_decoding_is_switched_on_when_asked(tmp_path: Path) -> None:
    shape = choose_shape("nemotron-4-340b-instruct", "8xH200")
    plain = parse(render(shape, tmp_path / "plain").folder / "repository" / "tensorrt_llm" / "config.pbtxt")
    guided = parse(render(shape, tmp_path / "guided", guided=True).folder / "repository" / "tensorrt_llm" / "config.pbtxt")

    assert "guided_decoding_backend" not in plain.parameters
    assert guided.parameters["guided_decoding_backend"].string_value == "xgrammar"


def test_rendering_again_keeps_engines_and_refuses_a_folder_of_other_things(tmp_path: Path) -> None:
    (tmp_path / "out" / "engine").mkdir(parents=True)
    (tmp_path / "out" / "engine" / "rank0.engine").write_bytes(b"hours of work")
    rendered(tmp_path / "out", "nemotron-4-340b-base")
    rendered(tmp_path / "out", "nemotron-4-340b-base")

    assert (tmp_path / "out" / "engine" / "rank0.engine").read_bytes() == b"hours of work"
    (tmp_path / "out" / "thesis.tex").touch()
    with pytest.raises(SettingsError, match=r"thesis\.tex"):
        rendered(tmp_path / "out", "nemotron-4-340b-base")


def stand_in(repository: Path, texts: dict[str, str]) -> None:
    """Put stand-ins where the container's Python and the engine would be."""
    for model, text in texts.items():
        (repository / model / "1" / "model.py").write_text(text, encoding="utf-8")
    engine = repository / "tensorrt_llm" / "config.pbtxt"
    if engine.exists():
        engine.write_text(engine.read_text(encoding="utf-8").replace('backend: "tensorrtllm"', 'backend: "python"'), encoding="utf-8")


ENGINE_PATH = {"preprocessing": stand_ins.PREPROCESSING, "tensorrt_llm": stand_ins.ENGINE, "postprocessing": stand_ins.POSTPROCESSING}


@contextmanager
def session(served: ServedTriton, card: str, model: str) -> Iterator[EngineSession]:
    made = EngineSession(read_settings(), {card: (Address("triton", "127.0.0.1", served.grpc_port, False, f"/{model}"),)})
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def reward_engine(tmp_path_factory: pytest.TempPathFactory, triton_python: Path) -> Iterator[ServedTriton]:
    folder = rendered(tmp_path_factory.mktemp("reward"), "llama-3.1-nemotron-70b-reward")
    stand_in(folder / "repository", ENGINE_PATH)
    with serve_triton(python=triton_python, repository=folder / "repository") as served:
        yield served


CONVERSATION = (Message("user", "How many?"), Message("assistant", "Three."))


@pytest.mark.triton
def test_reward_model_gives_the_first_logit_after_the_conversation(reward_engine: ServedTriton) -> None:
    card = load_card("llama-3.1-nemotron-70b-reward")
    request = card.reward_request(CONVERSATION)
    with session(reward_engine, card.id, "reward") as engines:
        facts = engines.inspect(card)
        answer = engines.run(engines.call(card, request))

    assert facts.attributes == ("reward",)
    assert isinstance(answer, Reward)
    assert (answer.attributes, answer.exceeded) == ({"reward": 100.0 * len(request.prompt.encode())}, False)


@pytest.mark.triton
def test_reward_model_says_that_a_conversation_was_longer_than_its_context(reward_engine: ServedTriton) -> None:
    with client_of(reward_engine) as client:
        told = read_answer(client.infer("reward", tensors({"sentences": "x" * 5000})))

    assert told == {"rewards": 100.0 * 4096, "exceeded": 1}


@pytest.mark.triton
def test_reward_model_hands_on_what_the_engine_refused(reward_engine: ServedTriton) -> None:
    from tritonclient.utils import InferenceServerException

    with client_of(reward_engine) as client, pytest.raises(InferenceServerException, match="the engine failed"):
        client.infer("reward", tensors({"sentences": "FAIL"}))


@pytest.mark.triton
def test_engine_path_answers_our_client_through_the_rendered_ensemble(reward_engine: ServedTriton) -> None:
    card = load_card("llama-3.1-nemotron-70b-instruct")
    request = card.generate_request((Message("user", "abc"),), Sampling(max_tokens=4, temperature=0.7, top_p=0.9), seed=7)
    with session(reward_engine, card.id, "ensemble") as engines:
        facts = engines.inspect(card)
        answer = engines.run(engines.call(card, request))

    assert facts.kind == "triton/ensemble"
    assert isinstance(answer, Completion)
    assert answer.text == request.prompt[::-1][:4]
    assert (answer.prompt_tokens, answer.completion_tokens) == (len(request.prompt.encode()), 4)


@pytest.mark.triton
def test_head_of_nine_numbers_gives_the_five_attributes(tmp_path: Path, triton_python: Path) -> None:
    folder = rendered(tmp_path, "nemotron-4-340b-reward", wire="engine")
    stand_in(folder / "repository", ENGINE_PATH)
    card = load_card("nemotron-4-340b-reward")
    request = card.reward_request(CONVERSATION)
    with serve_triton(python=triton_python, repository=folder / "repository") as served, session(served, card.id, "reward") as engines:
        answer = engines.run(engines.call(card, request))

    base = 100.0 * len(request.prompt.encode())
    assert isinstance(answer, Reward)
    assert list(answer.attributes.values()) == [base + place for place in range(4, 9)]


@pytest.mark.triton
def test_llm_api_serves_rewards_and_texts_from_rendered_repositories(tmp_path: Path, triton_python: Path) -> None:
    repository = rendered(tmp_path / "texts", "llama-3.1-nemotron-70b-instruct", wire="llmapi") / "repository"
    stand_in(repository, {"tensorrt_llm": stand_ins.LLMAPI})
    grading = rendered(tmp_path / "rewards", "llama-3.1-nemotron-70b-reward", wire="llmapi") / "repository"
    (grading / "reward" / "1" / "tensorrt_llm.py").write_text(stand_ins.TENSORRT_LLM, encoding="utf-8")
    (repository / "reward").symlink_to(grading / "reward")
    writer, judge = load_card("llama-3.1-nemotron-70b-instruct"), load_card("llama-3.1-nemotron-70b-reward")
    asked = writer.generate_request((Message("user", "abc"),), Sampling(max_tokens=5), seed=7)
    graded = judge.reward_request(CONVERSATION)
    with serve_triton(python=triton_python, repository=repository) as served:
        with session(served, writer.id, "tensorrt_llm") as engines:
            text = engines.run(engines.call(writer, asked))
        with session(served, judge.id, "reward") as engines:
            reward = engines.run(engines.call(judge, graded))
            failing = judge.reward_request((Message("user", "FAIL"), Message("assistant", "x")))
            with pytest.raises(EngineError, match="the engine failed"):
                engines.run(engines.call(judge, failing))

    assert isinstance(text, Completion)
    assert isinstance(reward, Reward)
    assert text.text == asked.prompt[::-1][:5]
    assert reward.attributes == {"reward": 100.0 * len(graded.prompt.encode())}

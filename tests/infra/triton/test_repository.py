"""The model repository against the contract, as transcribed from TensorRT-LLM's and the vLLM backend's own configs."""

from typing import Any

import pytest

from infra.triton.plan import REPOSITORY
from infra.triton.server import ServedTriton
from tests.infra.triton.wire import client_of

Tensor = tuple[str, str, tuple[int, ...], bool]

_ENGINE_INPUTS = """
text_input STRING 1 | max_tokens INT32 1 | decoder_text_input STRING 1 ? | num_return_sequences INT32 1 ? | bad_words STRING -1 ? | stop_words STRING -1 ?
exclude_input_in_output BOOL 1 ? | end_id INT32 1 ? | pad_id INT32 1 ? | top_k INT32 1 ? | top_p FP32 1 ? | temperature FP32 1 ? | length_penalty FP32 1 ?
repetition_penalty FP32 1 ? | min_tokens INT32 1 ? | presence_penalty FP32 1 ? | frequency_penalty FP32 1 ? | seed UINT64 1 ? | return_log_probs BOOL 1 ?
return_context_logits BOOL 1 ? | return_generation_logits BOOL 1 ? | return_perf_metrics BOOL 1 ? | return_num_input_tokens BOOL 1 ?
return_num_output_tokens BOOL 1 ? | beam_width INT32 1 ? | stream BOOL 1 ? | prompt_embedding_table FP16 -1,-1 ? | prompt_table_extra_id UINT64 1 ?
prompt_vocab_size INT32 1 ? | embedding_bias_words STRING -1 ? | embedding_bias_weights FP32 -1 ? | lora_task_id UINT64 1 ? | lora_weights FP16 -1,-1 ?
lora_config INT32 -1,3 ? | guided_decoding_guide_type STRING 1 ? | guided_decoding_guide STRING 1 ?
"""
_ENGINE_OUTPUTS = """
text_output STRING -1 | cum_log_probs FP32 -1 | output_log_probs FP32 -1,-1 | context_logits FP32 -1,-1 | generation_logits FP32 -1,-1,-1
batch_index INT32 1 | sequence_index INT32 1 | kv_cache_alloc_new_blocks INT32 1 | kv_cache_reused_blocks INT32 1 | kv_cache_alloc_total_blocks INT32 1
arrival_time_ns INT64 1 | first_scheduled_time_ns INT64 1 | first_token_time_ns INT64 1 | last_token_time_ns INT64 1 | acceptance_rate FP32 1
total_accepted_draft_tokens INT32 1 | total_draft_tokens INT32 1 | num_input_tokens INT32 1 | num_output_tokens INT32 1
"""
_BLS_INPUTS = """
image_input FP16 -1,3,-1,-1 ? | image_bytes_input UINT8 -1,-1,-1,-1 ? | image_url_input STRING 1 ? | video_bytes_input UINT8 -1,-1,-1,-1 ?
num_draft_tokens INT32 1 ? | use_draft_logits BOOL 1 ?
"""
_LLMAPI_INPUTS = """
text_input STRING -1 | image_url STRING -1 ? | streaming BOOL 1 ? | sampling_param_best_of INT32 1 ? | sampling_param_temperature FP32 1 ?
sampling_param_top_k INT32 1 ? | sampling_param_top_p FP32 1 ? | sampling_param_frequency_penalty FP32 1 ? | sampling_param_presence_penalty FP32 1 ?
sampling_param_max_tokens INT32 1 ? | sampling_param_stop STRING -1 ? | sampling_param_seed UINT64 1 ? | sampling_param_exclude_input_from_output BOOL 1 ?
sampling_param_return_perf_metrics BOOL 1 ? | return_finish_reason BOOL 1 ? | return_stop_reason BOOL 1 ? | return_cumulative_logprob BOOL 1 ? | stop BOOL 1 ?
lora_id UINT64 1 ? | lora_name STRING 1 ? | lora_path STRING 1 ? | lora_ckpt_source STRING 1 ?
"""
_LLMAPI_OUTPUTS = """
text_output STRING -1 | finish_reason STRING -1 | stop_reason STRING -1 | cumulative_logprob FP32 -1 | kv_cache_reused_block INT32 -1
kv_cache_missed_block INT32 -1 | kv_cache_alloc_new_blocks INT32 -1 | kv_cache_alloc_total_blocks INT32 -1 | kv_cache_hit_rate FP32 -1 | arrival_time_ns INT64 1
first_scheduled_time_ns INT64 1 | first_token_time_ns INT64 1 | last_token_time_ns INT64 1 | acceptance_rate FP32 1 | total_accepted_draft_tokens INT32 1
total_draft_tokens INT32 1
"""
_VLLM_INPUTS = """
text_input STRING 1 | image STRING -1 ? | stream BOOL 1 ? | sampling_parameters STRING 1 ? | exclude_input_in_output BOOL 1 ? | return_finish_reason BOOL 1 ?
return_cumulative_logprob BOOL 1 ? | return_logprobs BOOL 1 ? | return_num_input_tokens BOOL 1 ? | return_num_output_tokens BOOL 1 ?
embedding_request STRING 1 ?
"""
_VLLM_OUTPUTS = """
text_output STRING -1 | finish_reason STRING -1 | cumulative_logprob FP32 -1 | logprobs STRING -1 | num_input_tokens UINT32 1 | num_output_tokens UINT32 -1
"""
_CONTRACTS: dict[str, tuple[str, str, int, bool]] = {
    "ensemble": (_ENGINE_INPUTS, _ENGINE_OUTPUTS, 128, False),
    "rehearsal_engine": (_ENGINE_INPUTS, _ENGINE_OUTPUTS, 128, False),
    "tensorrt_llm_bls": (_ENGINE_INPUTS + _BLS_INPUTS, _ENGINE_OUTPUTS, 128, True),
    "tensorrt_llm": (_LLMAPI_INPUTS, _LLMAPI_OUTPUTS, 0, False),
    "vllm_model": (_VLLM_INPUTS, _VLLM_OUTPUTS, 0, True),
    "reward": ("sentences STRING 1", "rewards FP32 -1 | exceeded INT32 1", 32, False),
    "embedding": ("text_input STRING 1", "embedding FP32 -1", 32, False),
}
_SCALARS = {
    "return_log_probs",
    "return_context_logits",
    "return_generation_logits",
    "num_return_sequences",
    "use_draft_logits",
    "lora_task_id",
    "return_perf_metrics",
    "return_num_input_tokens",
    "return_num_output_tokens",
}


def read_config(model: str) -> Any:
    from google.protobuf import text_format  # type: ignore[import-untyped]
    from tritonclient.grpc import model_config_pb2

    return text_format.Parse((REPOSITORY / model / "config.pbtxt").read_text(encoding="utf-8"), model_config_pb2.ModelConfig())


def declared(tensors: Any) -> list[Tensor]:
    kinds = type(tensors[0]).DESCRIPTOR.fields_by_name["data_type"].enum_type.values
    names = {kind.number: kind.name.removeprefix("TYPE_") for kind in kinds}
    return sorted((tensor.name, names[tensor.data_type], tuple(tensor.dims), getattr(tensor, "optional", False)) for tensor in tensors)


def transcribed(table: str) -> list[Tensor]:
    rows = [cell.split() for line in table.split("\n") if line for cell in line.split("|")]
    return sorted((name, datatype, tuple(map(int, dims.split(","))), bool(optional)) for name, datatype, dims, *optional in rows)


def test_repository_holds_these_models_and_no_others() -> None:
    assert {path.parent.name for path in REPOSITORY.glob("*/config.pbtxt")} == set(_CONTRACTS)


@pytest.mark.parametrize("model", _CONTRACTS)
def test_config_declares_the_inputs_and_outputs_of_the_contract(model: str) -> None:
    inputs, outputs, batch, decoupled = _CONTRACTS[model]
    config = read_config(model)
    assert declared(config.input) == transcribed(inputs)
    assert declared(config.output) == transcribed(outputs)
    assert (config.name, config.max_batch_size, config.model_transaction_policy.decoupled) == (model, batch, decoupled)


def test_ensemble_maps_every_tensor_of_its_contract_to_its_step() -> None:
    config = read_config("ensemble")
    (step,) = config.ensemble_scheduling.step
    assert config.platform == "ensemble"
    assert dict(step.input_map) == {tensor.name: tensor.name for tensor in config.input}
    assert dict(step.output_map) == {tensor.name: tensor.name for tensor in config.output}


def test_bls_reshapes_its_scalars_as_upstream_does() -> None:
    reshaped = {tensor.name for tensor in read_config("tensorrt_llm_bls").input if tensor.HasField("reshape")}
    assert reshaped == _SCALARS


def test_reward_names_its_attributes_and_bounds_its_queue() -> None:
    config = read_config("reward")
    assert config.parameters["attributes"].string_value == "helpfulness,correctness,coherence,complexity,verbosity"
    assert config.dynamic_batching.default_queue_policy.max_queue_size == 256


@pytest.mark.triton
def test_server_serves_every_model_with_its_declared_policy(triton: ServedTriton) -> None:
    with client_of(triton) as client:
        configs = {model: client.get_model_config(model).config for model in _CONTRACTS}
    assert {model: config.model_transaction_policy.decoupled for model, config in configs.items()} == {model: row[3] for model, row in _CONTRACTS.items()}

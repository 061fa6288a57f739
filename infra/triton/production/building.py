"""The script from checkpoint to engine: quantise, then build, with TensorRT-LLM's own tools in its own container. Pure.

Flags are those of TensorRT-LLM 1.2.1, which container 26.07 carries, the last with engines. Not one of these builds was run by us.
"""

from infra.triton.production.shapes import Shape

CONTAINER = "nvcr.io/nvidia/tritonserver:26.07-trtllm-python-py3"
TENSORRT_LLM = "1.2.1"
MAX_BATCH = 128

Command = tuple[str, ...]
"""The lines of a shell command: the program, then an option with its value on each."""

_EXAMPLES = "${TENSORRT_LLM_EXAMPLES:-/app/examples}"
"""Where TensorRT-LLM's examples of the same version lie."""
_UPSTREAM = "${TENSORRT_LLM_MODELS:-/app/all_models}"
"""Where the container keeps the models of its Triton backend."""

_HEADER = """#!/bin/bash
# {title}.
# From a checkpoint to what Triton serves, inside {container} (TensorRT-LLM {version}).
#
#   CHECKPOINT=/path/to/checkpoint build.sh
#
# Written by `gristmill engines render`. Not run on hardware by its authors: read it before you spend {gpus} GPUs on it.
set -euo pipefail

: "${{CHECKPOINT:?set it to the folder or .nemo file of the checkpoint}}"
here=$(cd "$(dirname "$0")" && pwd)

run() {{ printf '+ %s\\n' "$*" >&2; "$@"; }}

"""


def build_script(shape: Shape) -> str:
    """Write build.sh."""
    title = f"{shape.model.repository} in {shape.precision} on {shape.hardware.name}, {shape.ranks} GPUs a copy"
    head = _HEADER.format(title=title, container=CONTAINER, version=TENSORRT_LLM, gpus=build_gpus(shape))
    return head + "\n\n".join([f"run {command_text(command)}" for command in commands(shape)] + _upstream(shape)) + "\n"


def build_gpus(shape: Shape) -> int:
    """Say how many GPUs the build takes; more than serving does where the weights must first be loaded in BF16."""
    return max(shape.ranks, shape.calibration[0] * shape.calibration[1] if shape.precision == "fp8" else 0)


def command_text(command: Command) -> str:
    """Write a command over several lines."""
    return " \\\n    ".join(command)


def commands(shape: Shape) -> tuple[Command, ...]:
    """Give the commands, in order; none where the checkpoint is served as it is."""
    if shape.wire == "aligner" or (shape.wire == "llmapi" and shape.precision == "bf16"):
        return ()
    if shape.wire == "llmapi":
        return ((*_quantise(shape), "--export_format hf"),)
    convert = shape.precision == "bf16" and shape.model.checkpoint == "hf"
    return (_convert(shape) if convert else _quantise(shape), _build(shape))


def _upstream(shape: Shape) -> list[str]:
    """Take what is upstream's from the container, so that it fits the TensorRT-LLM in it: the Python that tokenises, detokenises or generates."""
    if shape.wire == "engine":
        return [_copied("inflight_batcher_llm/preprocessing", "preprocessing"), _copied("inflight_batcher_llm/postprocessing", "postprocessing")]
    return [_copied("llmapi/tensorrt_llm", "tensorrt_llm")] if shape.wire == "llmapi" and not shape.model.logits else []


def _copied(source: str, model: str) -> str:
    # Ours is kept where both have a file: model.yaml.
    return f'run cp --recursive --no-clobber "{_UPSTREAM}/{source}/1/." "$here/repository/{model}/1/"'


def _quantise(shape: Shape) -> Command:
    """Calibrate and quantise, or (`full_prec`) only lay out for the ranks."""
    nemo = shape.model.checkpoint == "nemo"
    tensor, pipeline = shape.calibration
    launch = f"mpirun --allow-run-as-root -np {tensor * pipeline} " if nemo else ""
    source = ('--nemo_ckpt_path "$CHECKPOINT"', f"--calib_tp_size {tensor}", f"--calib_pp_size {pipeline}") if nemo else ('--model_dir "$CHECKPOINT"',)
    eight_bits = shape.precision == "fp8"
    return (
        f'{launch}python3 "{_EXAMPLES}/quantization/quantize.py"',
        *source,
        "--dtype bfloat16",
        "--batch_size 8",
        f"--qformat {'fp8' if eight_bits else 'full_prec'}",
        *(("--kv_cache_dtype fp8",) if eight_bits and not nemo else ()),
        *_split(shape),
    )


def _convert(shape: Shape) -> Command:
    """Lay a Llama checkpoint out for the ranks, unquantised."""
    return (f'python3 "{_EXAMPLES}/models/core/llama/convert_checkpoint.py"', '--model_dir "$CHECKPOINT"', "--dtype bfloat16", *_split(shape))


def _split(shape: Shape) -> Command:
    return (f"--tp_size {shape.tensor}", f"--pp_size {shape.pipeline}", '--output_dir "$here/checkpoint"')


def _build(shape: Shape) -> Command:
    model = shape.model
    gemm = "bfloat16" if model.family == "nemotron" else "auto"
    return (
        "trtllm-build",
        '--checkpoint_dir "$here/checkpoint"',
        '--output_dir "$here/engine"',
        "--gpt_attention_plugin bfloat16",
        *((f"--gemm_plugin {gemm}",) if shape.precision == "bf16" else ()),
        *(("--gather_generation_logits",) if model.logits else ()),
        f"--max_input_len {longest_prompt(shape)}",
        # A graded conversation may fill the context; the one token whose logits are the reward comes after it.
        f"--max_seq_len {model.context + bool(model.logits)}",
        f"--max_batch_size {MAX_BATCH}",
        "--max_num_tokens 8192",
        "--kv_cache_type paged",
        "--remove_input_padding enable",
        "--use_paged_context_fmha enable",
        f"--workers {min(8, shape.ranks)}",
    )


def longest_prompt(shape: Shape) -> int:
    """Give the longest prompt in tokens: of a context that prompt and answer share, three quarters."""
    return shape.model.context if shape.model.logits else shape.model.context * 3 // 4

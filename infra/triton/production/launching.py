"""How a rendered repository is started: every copy on one node, or one copy over several by Slurm. Pure.

Written after the launcher that TensorRT-LLM's Triton backend ships, in leader mode: one tritonserver a GPU, of which rank 0 answers. Not run on hardware by us.
"""

from infra.triton.production.building import CONTAINER
from infra.triton.production.shapes import Shape

ALIGNER_CONTAINER = "nvcr.io/nvidia/nemo:24.07"
"""Carries NeMo-Aligner, which is no longer developed."""
ALIGNER_PORT = 1424
PORT_STEP = 10
"""Between the ports of two copies on one node."""

_HEADER = """#!/bin/bash
# Serve {repository} in {precision} on {hardware}: {copies} x {ranks} GPUs, inside {container}.
#
#   {usage}
#
# Written by `gristmill engines render`. Not run on hardware by its authors.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"""

_COPIES = """
# One that ends takes the others along, so that whoever watches this process sees it.
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
{starts}
wait -n
"""

_SLURM = """
# Rank 0, on the first node, answers at 8000 (HTTP), 8001 (gRPC) and 8002 (metrics).
srun --mpi=pmix --nodes={nodes} --ntasks-per-node={per_node} --container-image={container} --container-mounts="$here:$here" \\
    bash -c 'exec tritonserver --model-repository="$0/repository" --disable-auto-complete-config --exit-timeout-secs=60 \\
        --backend-config=python,shm-region-prefix-name=rank${{SLURM_PROCID}}_ \\
        $([ "$SLURM_PROCID" = 0 ] || echo --model-control-mode=explicit --load-model=tensorrt_llm)' "$here"
"""

_ALIGNER = """
: "${{CHECKPOINT:?set it to the .nemo file of the checkpoint}}"
{srun}python /opt/NeMo-Aligner/examples/nlp/gpt/serve_reward_model.py \\
    rm_model_file="$CHECKPOINT" \\
    trainer.num_nodes={nodes} trainer.devices=8 \\
    ++model.tensor_model_parallel_size={tensor} ++model.pipeline_model_parallel_size={pipeline} \\
    inference.micro_batch_size=2 inference.port={port}
"""


def launch_script(shape: Shape) -> str:
    """Write launch.sh."""
    if shape.wire == "aligner":
        return _header(shape, ALIGNER_CONTAINER, "CHECKPOINT=/path/to/model.nemo launch.sh") + _aligner(shape)
    if shape.nodes > 1:
        return _header(shape, CONTAINER, f"sbatch --nodes={shape.nodes} --exclusive launch.sh") + _slurm(shape)
    return _header(shape, CONTAINER, "launch.sh") + _COPIES.format(starts="\n".join(_start(shape, copy) for copy in range(shape.copies)))


def ports(shape: Shape) -> tuple[int, ...]:
    """Give each copy's HTTP port on its node; gRPC is at the next."""
    return (ALIGNER_PORT,) if shape.wire == "aligner" else tuple(8000 + PORT_STEP * copy for copy in range(shape.copies))


def _header(shape: Shape, container: str, usage: str) -> str:
    return _HEADER.format(
        repository=shape.model.repository,
        precision=shape.precision,
        hardware=shape.hardware.name,
        copies=shape.copies,
        ranks=shape.ranks,
        container=container,
        usage=usage,
    )


def _start(shape: Shape, copy: int) -> str:
    gpus = ",".join(str(copy * shape.ranks + gpu) for gpu in range(shape.ranks))
    port = ports(shape)[copy]
    if shape.wire == "engine":
        return f'CUDA_VISIBLE_DEVICES={gpus} "$here/serve.sh" {shape.ranks} "$here/repository" {port} &'
    listening = f"--http-port={port} --grpc-port={port + 1} --metrics-port={port + 2}"
    memory = f"--backend-config=python,shm-region-prefix-name=port{port}_"
    server = f'trtllm-llmapi-launch tritonserver --model-repository="$here/repository" --disable-auto-complete-config {listening} {memory}'
    return f"CUDA_VISIBLE_DEVICES={gpus} {server} &"


def _slurm(shape: Shape) -> str:
    return _SLURM.format(nodes=shape.nodes, per_node=shape.ranks // shape.nodes, container=CONTAINER)


def _aligner(shape: Shape) -> str:
    srun = f"srun --nodes={shape.nodes} --ntasks-per-node=8 --container-image={ALIGNER_CONTAINER} " if shape.nodes > 1 else ""
    return _ALIGNER.format(srun=srun, nodes=shape.nodes, tensor=shape.tensor, pipeline=shape.pipeline, port=ALIGNER_PORT)

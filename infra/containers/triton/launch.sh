#!/bin/bash
# Serve one model repository with TensorRT-LLM in the foreground: one tritonserver a GPU under mpirun ("leader mode").
#
#   launch.sh WORLD_SIZE REPOSITORY
#
# Does what scripts/launch_triton_server.py of the TensorRT-LLM backend does, and keeps mpirun as the container's process, so that
# stopping, restarting and health are the container's own. Ranks above 0 hold their part of `tensorrt_llm` and answer nobody.
set -euo pipefail

world_size=${1:?number of GPUs, as the engine was built for}
repository=${2:?path of the model repository}
[[ $world_size =~ ^[1-9][0-9]*$ ]] || { echo "launch: the number of GPUs is $world_size" >&2; exit 64; }
[[ -d $repository ]] || { echo "launch: no model repository at $repository: see docs/deployment.md, Models" >&2; exit 66; }

common=(
    --model-repository="$repository"
    --disable-auto-complete-config
    --grpc-port=8001 --http-port=8000 --metrics-port=8002
    # Clients ping every 30 s while they wait minutes for an answer; Triton's default calls that abuse and hangs up (GOAWAY too_many_pings).
    --grpc-keepalive-time=30000 --grpc-keepalive-timeout=10000 --grpc-keepalive-permit-without-calls=true
    --grpc-http2-min-recv-ping-interval-without-data=10000 --grpc-http2-max-ping-strikes=0
    --exit-timeout-secs=60
)
command=(mpirun --allow-run-as-root)
for ((rank = 0; rank < world_size; rank++)); do
    ((rank == 0)) || command+=(:)
    command+=(-n 1 tritonserver "${common[@]}" --backend-config="python,shm-region-prefix-name=rank${rank}_")
    ((rank == 0)) || command+=(--model-control-mode=explicit --load-model=tensorrt_llm)
done
exec "${command[@]}"

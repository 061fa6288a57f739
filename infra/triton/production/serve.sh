#!/bin/bash
# Serve one model repository with TensorRT-LLM's engines in the foreground: one tritonserver a GPU under mpirun ("leader mode").
#
#   serve.sh RANKS REPOSITORY [PORT]      PORT: HTTP; gRPC and metrics are at the next two; default 8000
#
# Does what scripts/launch_triton_server.py of the TensorRT-LLM backend does, and keeps mpirun as the container's process, so that
# stopping, restarting and health are the container's own. Ranks above 0 hold their part of `tensorrt_llm` and answer nobody.
set -euo pipefail

ranks=${1:?number of GPUs, as the engine was built for}
repository=${2:?path of the model repository}
port=${3:-8000}
[[ $ranks =~ ^[1-9][0-9]*$ ]] || { echo "serve: the number of GPUs is $ranks" >&2; exit 64; }
[[ $port =~ ^[1-9][0-9]*$ ]] || { echo "serve: the port is $port" >&2; exit 64; }
[[ -d $repository ]] || { echo "serve: no model repository at $repository: write one by gristmill engines render" >&2; exit 66; }

common=(
    --model-repository="$repository"
    --disable-auto-complete-config
    --http-port="$port" --grpc-port=$((port + 1)) --metrics-port=$((port + 2))
    # Clients ping while they wait minutes for an answer; Triton's default calls that abuse and hangs up (GOAWAY too_many_pings).
    --grpc-keepalive-time=30000 --grpc-keepalive-timeout=10000 --grpc-keepalive-permit-without-calls=true
    --grpc-http2-min-recv-ping-interval-without-data=10000 --grpc-http2-max-ping-strikes=0
    --exit-timeout-secs=60
)
command=(mpirun --allow-run-as-root)
for ((rank = 0; rank < ranks; rank++)); do
    ((rank == 0)) || command+=(:)
    command+=(-n 1 tritonserver "${common[@]}" --backend-config="python,shm-region-prefix-name=port${port}_rank${rank}_")
    ((rank == 0)) || command+=(--model-control-mode=explicit --load-model=tensorrt_llm)
done
exec "${command[@]}"

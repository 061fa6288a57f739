"""A real gRPC server that speaks Triton's protocol and behaves as a test says: for faults and dialect forms that the embedded server can't be brought to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceServicer, add_GRPCInferenceServiceServicer_to_server
from tritonclient.utils import np_to_triton_dtype, serialize_byte_tensor

from infra.settings import Address

Respond = Callable[[Any, Any], Awaitable[Any]]

ENSEMBLE_INPUTS = {
    "text_input": "BYTES",
    "max_tokens": "INT32",
    "temperature": "FP32",
    "top_p": "FP32",
    "top_k": "INT32",
    "stop_words": "BYTES",
    "seed": "UINT64",
}
TEXT_OUTPUTS = {"text_output": "BYTES"}


@dataclass(slots=True)
class Model:
    """What is served, and how it answers."""

    respond: Respond
    inputs: dict[str, str] = field(default_factory=lambda: dict(ENSEMBLE_INPUTS))
    outputs: dict[str, str] = field(default_factory=lambda: dict(TEXT_OUTPUTS))
    max_batch_size: int = 8
    decoupled: bool = False
    parameters: dict[str, str] = field(default_factory=dict)
    live: bool = True
    requests: list[Any] = field(default_factory=list)
    headers: list[dict[str, Any]] = field(default_factory=list)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)


def reply(**tensors: Any) -> Any:
    """Build a response: strings, bytes, numbers or lists of them by output name."""
    response = pb.ModelInferResponse(model_name="model")
    for name, value in tensors.items():
        array = np.atleast_1d(np.array(value, dtype=np.object_ if _is_text(value) else None))
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        array = array.astype(np.int32) if array.dtype == np.int64 else array
        tensor = response.outputs.add(name=name, datatype=np_to_triton_dtype(array.dtype))
        tensor.shape.extend(array.shape)
        response.raw_output_contents.append(serialize_byte_tensor(array).item() if _is_text(value) else array.tobytes())
    return response


def sent(request: Any) -> dict[str, Any]:
    """Read a request's inputs: name to (shape, raw bytes)."""
    return {one.name: (list(one.shape), raw) for one, raw in zip(request.inputs, request.raw_input_contents, strict=True)}


def _is_text(value: Any) -> bool:
    return isinstance(value, str | bytes) or (isinstance(value, list) and bool(value) and isinstance(value[0], str | bytes))


class _Servicer(GRPCInferenceServiceServicer):  # type: ignore[misc]
    def __init__(self, model: Model) -> None:
        self.model = model

    async def ServerLive(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ServerLiveResponse(live=self.model.live)

    async def ServerMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ServerMetadataResponse(name="stand-in", version="1")

    async def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ModelReadyResponse(ready=True)

    async def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.model.headers.append(dict(context.invocation_metadata()))
        shapes = [self.model.inputs, self.model.outputs]
        inputs, outputs = ([pb.ModelMetadataResponse.TensorMetadata(name=name, datatype=kind) for name, kind in shape.items()] for shape in shapes)
        return pb.ModelMetadataResponse(name=request.name, inputs=inputs, outputs=outputs)

    async def ModelConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = pb.ModelConfigResponse()
        response.config.max_batch_size = self.model.max_batch_size
        response.config.model_transaction_policy.decoupled = self.model.decoupled
        for name, value in self.model.parameters.items():
            response.config.parameters[name].string_value = value
        return response

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._respond(request, context)

    async def ModelStreamInfer(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for request in requests:
            answers = await self._respond(request, context)
            for answer in answers if isinstance(answers, list) else [answers]:
                yield pb.ModelStreamInferResponse(infer_response=answer)

    async def _respond(self, request: Any, context: Any) -> Any:
        self.model.requests.append(request)
        self.model.headers.append(dict(context.invocation_metadata()))
        try:
            return await self.model.respond(request, context)
        except asyncio.CancelledError:
            self.model.cancelled.set()
            raise


@asynccontextmanager
async def serve(model: Model, credentials: Any = None) -> AsyncIterator[Address]:
    """Serve one model on a free port of this machine."""
    server = grpc.aio.server()
    add_GRPCInferenceServiceServicer_to_server(_Servicer(model), server)
    target = "127.0.0.1:0"
    port = server.add_secure_port(target, credentials) if credentials else server.add_insecure_port(target)
    await server.start()
    try:
        yield Address("triton", "localhost" if credentials else "127.0.0.1", port, credentials is not None, "/model")
    finally:
        await server.stop(None)


def says(*texts: str, **tensors: Any) -> Respond:
    """Answer always the same: one response a text."""

    async def respond(request: Any, context: Any) -> Any:
        answers = [reply(text_output=text, **tensors) for text in texts]
        return answers if len(answers) > 1 else answers[0]

    return respond


def answers_with(response: Any) -> Respond:
    """Answer with one prepared response."""

    async def respond(request: Any, context: Any) -> Any:
        return response

    return respond


def fails(code: grpc.StatusCode, details: str) -> Respond:
    """Fail always the same."""

    async def respond(request: Any, context: Any) -> Any:
        await context.abort(code, details)

    return respond


async def never(request: Any, context: Any) -> Any:
    """Never answer."""
    await asyncio.Event().wait()

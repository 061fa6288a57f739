"""What a Triton server says of one model, and tensors to and from it as that model declares them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tritonclient.grpc import InferInput, InferResult
from tritonclient.utils import triton_to_np_dtype

from schemas.errors import EngineError, EngineFault


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model as its server declares it."""

    name: str
    inputs: Mapping[str, str]
    """Name to Triton data type."""
    outputs: Mapping[str, str]
    batched: bool
    """max_batch_size > 0: every shape has a batch dimension in front."""
    decoupled: bool
    """Any number of responses, so streaming calls only. Of an ensemble, Triton derives it from the steps."""
    parameters: Mapping[str, str]
    steps: frozenset[str] = frozenset()
    """Of an ensemble, the models behind it: the server's metrics name those."""
    max_batch: int = 0
    """Most rows of one request; 0 where it takes no batch dimension."""

    def tensor(self, name: str, *values: Any) -> InferInput:
        """Make an input of the declared type and rank."""
        datatype = self.inputs[name]
        shape = [1, len(values)] if self.batched else [len(values)]
        # np.object_, not np.bytes_: that one drops trailing NULs.
        array = np.array(values, dtype=triton_to_np_dtype(datatype)).reshape(shape)
        tensor = InferInput(name, shape, datatype)
        tensor.set_data_from_numpy(array)
        return tensor

    def column(self, name: str, *values: Any) -> InferInput:
        """Make an input of one element a row, of a model that is batched; of one row where it is not."""
        if len(values) == 1:
            return self.tensor(name, *values)
        tensor = InferInput(name, [len(values), 1], self.inputs[name])
        tensor.set_data_from_numpy(np.array(values, dtype=triton_to_np_dtype(self.inputs[name])).reshape(-1, 1))
        return tensor


def served_model(metadata: Any, config: Any) -> ServedModel:
    """Read ModelMetadataResponse and ModelConfig."""
    return ServedModel(
        name=metadata.name,
        inputs={one.name: one.datatype for one in metadata.inputs},
        outputs={one.name: one.datatype for one in metadata.outputs},
        batched=config.max_batch_size > 0,
        decoupled=config.model_transaction_policy.decoupled,
        parameters={name: value.string_value for name, value in config.parameters.items()},
        steps=frozenset(step.model_name for step in config.ensemble_scheduling.step),
        max_batch=config.max_batch_size,
    )


def text_in(result: InferResult, name: str) -> str:
    """Read a string output's first element. Raises EngineError(GARBLED) if it is missing or not UTF-8."""
    array = values_in(result, name)
    if array is None or array.size == 0:
        raise _garbled(f"the answer has no {name}")
    value = array.flat[0]
    try:
        return value.decode("utf-8") if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise _garbled(f"{name} is not UTF-8: {error.reason} at byte {error.start} of {len(value)}") from error


def values_in(result: InferResult, name: str) -> Any | None:
    """Read an output by the data type that the answer itself states, which is not always the declared one. None where it is absent."""
    try:
        return result.as_numpy(name)
    except Exception as error:  # numpy and struct raise many kinds for a buffer that does not fit its shape
        raise _garbled(f"{name} can't be decoded: {error}") from error


def count_in(results: Sequence[InferResult], name: str) -> int | None:
    """Add up a count over the responses; None if none states it."""
    arrays = [array for array in (values_in(result, name) for result in results) if array is not None and array.size]
    return sum(_as_int(array.flat[0], name) for array in arrays) if arrays else None


def _as_int(value: Any, name: str) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise _garbled(f"{name} is {value!r}, not a number") from error


def _garbled(message: str) -> EngineError:
    return EngineError(message, fault=EngineFault.GARBLED)

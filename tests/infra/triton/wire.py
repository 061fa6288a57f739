"""A plain client for the tests of the embedded Triton, which knows nothing of the product's own; and prompts as the rehearsal cards render them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from infra.triton.server import ServedTriton

Ask = Callable[..., dict[str, Any]]
"""(model, *, rank=2, **inputs) -> outputs"""

_TYPES: dict[type, tuple[str, Any]] = {str: ("BYTES", np.object_), bool: ("BOOL", np.bool_), int: ("INT32", np.int32), float: ("FP32", np.float32)}


def client_of(served: ServedTriton) -> Any:
    from tritonclient.grpc import InferenceServerClient

    return InferenceServerClient(f"127.0.0.1:{served.grpc_port}")


def tensors(values: dict[str, Any], *, rank: int = 2) -> list[Any]:
    """Make input tensors; `seed` is an unsigned 64-bit number wherever it is declared."""
    from tritonclient.grpc import InferInput

    made = []
    for name, value in values.items():
        items = value if isinstance(value, list) else [value]
        datatype, dtype = ("UINT64", np.uint64) if name.endswith("seed") else _TYPES[type(items[0])]
        array = np.array([item.encode() if isinstance(item, str) else item for item in items], dtype=dtype)
        array = array.reshape((1,) * (rank - 1) + array.shape)
        tensor = InferInput(name, list(array.shape), datatype)
        tensor.set_data_from_numpy(array)
        made.append(tensor)
    return made


def read_answer(result: Any) -> dict[str, Any]:
    """Read every output: a list of values, or the value itself where there is one; strings decoded."""
    outputs = {output.name: result.as_numpy(output.name).reshape(-1).tolist() for output in result.get_response().outputs}
    plain = {name: [one.decode() if isinstance(one, bytes) else one for one in values] for name, values in outputs.items()}
    return {name: values[0] if len(values) == 1 else values for name, values in plain.items()}


def a_prompt(text: str, *, system: str = "") -> str:
    """Render one user turn as the rehearsal card does."""
    return f"<extra_id_0>System\n{system}\n<extra_id_1>User\n{text}\n<extra_id_1>Assistant\n"


def a_conversation(question: str, answer: str) -> str:
    """Render a finished exchange as the rehearsal reward card does."""
    return f"<extra_id_0>System\n\n<extra_id_1>User\n{question}\n<extra_id_1>Assistant\n{answer}\n<extra_id_2>"

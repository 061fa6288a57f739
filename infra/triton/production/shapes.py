"""Which hardware serves which model how: precision, parallelism, nodes, copies. Pure.

Sizes follow the models' own cards (340B: BF16 on 8xH200 or 16xH100, FP8 on 8xH100; 70B-Reward: BF16 from two 80 GB GPUs on) and simple arithmetic:
weights take two bytes a parameter in BF16 and one in FP8, and a fifth of a GPU at least is left to the KV cache, activations and buffers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from schemas.errors import SettingsError

Precision = Literal["bf16", "fp8"]
Wire = Literal["engine", "llmapi", "aligner"]

_BYTES: dict[Precision, int] = {"bf16": 2, "fp8": 1}
_WEIGHTS_SHARE = 0.8
"""Of a GPU's memory, the most that weights may take."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """GPUs of one kind, in nodes of eight."""

    gpus: int
    kind: str

    @property
    def name(self) -> str:
        """As it is asked for: `8xH100`."""
        return f"{self.gpus}x{self.kind}"

    @property
    def gigabytes(self) -> int:
        """Memory of one GPU, as its maker counts it."""
        return GPUS[self.kind]

    @property
    def nodes(self) -> int:
        """Machines of at most eight GPUs."""
        return -(-self.gpus // 8)


GPUS = {"H200": 141, "H100": 80, "A100": 80}
"""Kind of GPU to its memory in units of 10^9 bytes."""
_USUAL = tuple(Hardware(*one) for one in ((2, "H100"), (4, "H100"), (8, "H100"), (8, "H200"), (16, "H100")))
"""What a message may propose, the smallest first."""


@dataclass(frozen=True, slots=True)
class Served:
    """What is known of a model's weights."""

    card: str
    billions: int
    """Parameters."""
    family: Literal["nemotron", "llama"]
    repository: str
    """Its name on the Hugging Face hub."""
    checkpoint: Literal["nemo", "hf"]
    wires: tuple[Wire, ...]
    """Ways to serve it, the usual one first."""
    tensor: dict[Precision, int]
    """GPUs that one copy is spread over within a node."""
    context: int
    """Tokens of prompt and answer together that the engine is built for."""
    logits: str = ""
    """Reward models: which logits of the first generated position are the rewards, `from:to`."""


MODELS = {
    one.card: one
    for one in (
        # NVIDIA publishes the 340B as .nemo alone, which only the engine path reads.
        Served("nemotron-4-340b-base", 340, "nemotron", "nvidia/Nemotron-4-340B-Base", "nemo", ("engine",), {"bf16": 8, "fp8": 8}, 4096),
        Served("nemotron-4-340b-instruct", 340, "nemotron", "nvidia/Nemotron-4-340B-Instruct", "nemo", ("engine",), {"bf16": 8, "fp8": 8}, 4096),
        # Its head gives nine floats, not a vocabulary: NeMo-Aligner's server runs the checkpoint as it is. The engine path needs one whose head was
        # written into the first nine rows of the output embedding, as NIM's logits range supposes; none is published.
        Served("nemotron-4-340b-reward", 340, "nemotron", "nvidia/Nemotron-4-340B-Reward", "nemo", ("aligner", "engine"), {"bf16": 8, "fp8": 8}, 4096, "0:9"),
        Served(
            "llama-3.1-nemotron-70b-instruct",
            70,
            "llama",
            "nvidia/Llama-3.1-Nemotron-70B-Instruct-HF",
            "hf",
            ("engine", "llmapi"),
            {"bf16": 4, "fp8": 2},
            16384,
        ),
        Served(
            "llama-3.1-nemotron-70b-reward",
            70,
            "llama",
            "nvidia/Llama-3.1-Nemotron-70B-Reward-HF",
            "hf",
            ("engine", "llmapi"),
            {"bf16": 4, "fp8": 2},
            4096,
            "0:1",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to serve one model on one set of GPUs."""

    model: Served
    hardware: Hardware
    precision: Precision
    wire: Wire
    tensor: int
    pipeline: int

    @property
    def ranks(self) -> int:
        """GPUs of one copy."""
        return self.tensor * self.pipeline

    @property
    def nodes(self) -> int:
        """Machines that one copy is spread over."""
        return -(-self.ranks // 8)

    @property
    def copies(self) -> int:
        """Servers side by side on one node, each with all of the model; 1 where a copy takes several nodes."""
        return max(1, min(8, self.hardware.gpus) // self.ranks)

    @property
    def sites(self) -> int:
        """Times that launch.sh is started to use all of the hardware: once a node, or once a group of nodes."""
        return self.hardware.nodes // self.nodes

    @property
    def calibration(self) -> tuple[int, int]:
        """Tensor and pipeline ranks for quantising, which loads the weights in BF16."""
        fits = _gigabytes(self.model, "bf16") <= self.ranks * self.hardware.gigabytes
        return self.tensor, self.pipeline if fits else 2 * self.pipeline

    @property
    def name(self) -> str:
        """Short and fit for a folder."""
        return f"{self.model.card}-{self.precision}-tp{self.tensor}" + (f"-pp{self.pipeline}" if self.pipeline > 1 else "")


def read_precision(name: str | None) -> Precision | None:
    """Read a precision's name. Raises SettingsError for an unknown one."""
    return None if name is None else cast(Precision, _one_of(name, get_args(Precision), "precision"))


def read_wire(name: str | None) -> Wire | None:
    """Read the name of a way to serve. Raises SettingsError for an unknown one."""
    return None if name is None else cast(Wire, _one_of(name, get_args(Wire), "wire"))


def _one_of(name: str, names: Sequence[str], what: str) -> str:
    if name not in names:
        raise SettingsError(f"unknown {what} {name!r}: choose {' or '.join(names)}")
    return name


def choose_shape(card: str, hardware: str, *, precision: Precision | None = None, wire: Wire | None = None) -> Shape:
    """Choose how to serve a model. Raises SettingsError for what does not fit or is not supported, with what would be."""
    model, on = _known(card), _on(hardware)
    wire = wire or model.wires[0]
    if wire not in model.wires:
        raise SettingsError(f"{card} can't be served by {wire!r}: choose {' or '.join(model.wires)}" + _why_not(model, wire))
    if wire == "aligner" and precision == "fp8":
        raise SettingsError(f"NeMo-Aligner's server runs {card} in bf16 only: leave out --precision, or choose --wire engine")
    fitting = [shape for one in _precisions(precision, wire) if (shape := _fit(model, on, one, wire))]
    if not fitting:
        raise SettingsError(_explain_size(model, on, precision or ("bf16" if wire == "aligner" else "fp8")))
    return fitting[0]


def _known(card: str) -> Served:
    if card not in MODELS:
        raise SettingsError(f"no build is known for {card!r}: there are {', '.join(MODELS)}")
    return MODELS[card]


def _on(hardware: str) -> Hardware:
    found = re.fullmatch(r"([1-9]\d{0,3})x(\w+)", hardware)
    if not found or found[2] not in GPUS:
        raise SettingsError(f"can't read the hardware {hardware!r}: give a number of GPUs and their kind, for example 8xH100 (kinds: {', '.join(GPUS)})")
    gpus = int(found[1])
    if gpus > 8 and gpus % 8:
        raise SettingsError(f"{hardware}: more than 8 GPUs stand in nodes of 8, so give a multiple of 8")
    return Hardware(gpus, found[2])


def _why_not(model: Served, wire: Wire) -> str:
    if wire == "llmapi" and model.checkpoint == "nemo":
        return f" (the LLM API reads Hugging Face checkpoints; {model.repository} is published as .nemo)"
    return ""


def _precisions(asked: Precision | None, wire: Wire) -> tuple[Precision, ...]:
    if asked:
        return (asked,)
    # BF16 first where it fits: no calibration, no loss.
    return ("bf16",) if wire == "aligner" else ("bf16", "fp8")


def _fit(model: Served, on: Hardware, precision: Precision, wire: Wire) -> Shape | None:
    tensor = model.tensor[precision]
    for pipeline in (1, 2):
        shape = Shape(model, on, precision, wire, tensor, pipeline)
        # Stages of a pipeline stand on nodes of their own.
        if shape.ranks <= on.gpus and shape.nodes <= on.nodes and _gigabytes(model, precision) / shape.ranks <= _WEIGHTS_SHARE * on.gigabytes:
            return shape
    return None


def _gigabytes(model: Served, precision: Precision) -> int:
    return model.billions * _BYTES[precision]


def _explain_size(model: Served, on: Hardware, precision: Precision) -> str:
    room = f"{on.name} has {on.gpus * on.gigabytes} GB, of which weights may take {_WEIGHTS_SHARE:.0%}"
    fits = " or ".join(one.name for one in _USUAL if _fit(model, one, precision, model.wires[0]))
    smaller = precision == "bf16" and "engine" in model.wires and _fit(model, on, "fp8", "engine")
    cure = f"choose --wire engine --precision fp8, or {fits}" if smaller else f"choose {fits}"
    return f"{model.card} in {precision} has {_gigabytes(model, precision)} GB of weights, spread over {model.tensor[precision]} GPUs; {room}: {cure}"

"""Licences of models and seeds: what each asks of data made with it, and what it forbids.

Facts, not legal advice; sources are named on each entry. An unknown licence fails closed: a recipe that names one is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

from schemas.errors import RecipeError

Use = Literal["evaluation", "training", "commercial-training"]
"""What a data set is made for. `evaluation`: models are measured against it, none is trained on it. `training`: also that, for no gain."""

Act = Literal["training", "commerce"]

ACTS: Mapping[Use, tuple[Act, ...]] = MappingProxyType({"evaluation": (), "training": ("training",), "commercial-training": ("training", "commerce")})
"""What each use does that a licence may forbid."""


@dataclass(frozen=True, slots=True)
class Licence:
    """What the holder of outputs must know."""

    id: str
    title: str
    url: str
    version: str
    """The date of the text, or its number where it has one: licences are changed under one name."""
    forbids: Mapping[Act, str] = field(default_factory=dict)
    """Act to the clause that forbids it to the holder of outputs (or, for seeds, of the text)."""
    attribution: str | None = None
    """A line that the data card and NOTICE must carry."""
    model_name_prefix: str | None = None
    """What the name of a model trained on the outputs must begin with."""
    display: str | None = None
    """What must be displayed prominently where such a model is offered."""
    acceptable_use: str | None = None
    """Where its acceptable use policy stands, which binds users of outputs too."""

    @property
    def training_allowed(self) -> bool:
        """Whether other models may be trained on the outputs (or, for seeds, on the text)."""
        return "training" not in self.forbids


_NON_COMMERCIAL = "1.1 and 2.a: uses primarily intended for commercial advantage are not licensed"
_LICENCES = (
    # Outputs are not derivative models (1.1); NVIDIA claims no ownership of them (2.4). The text of June 2024 has no guardrail clause.
    Licence("nvidia-open-model-2024-06", "NVIDIA Open Model License (June 2024)", "https://developer.nvidia.com/downloads/nv-open-model-license", "2024-06-14"),
    # As before of outputs (Cosmos models aside); adds the guardrail clause and NVIDIA's Trustworthy AI terms (2.3), which bind who runs the model.
    Licence(
        "nvidia-open-model-2025-10",
        "NVIDIA Open Model License (October 2025)",
        "https://www.nvidia.com/en-us/agreements/enterprise-software/nvidia-open-model-license/",
        "2025-10-24",
    ),
    # 1.b.i: 'Built with Llama' and the name prefix for models trained on outputs or results.
    Licence(
        "llama-3.1-community",
        "Llama 3.1 Community License",
        "https://www.llama.com/llama3_1/license/",
        "2024-07-23",
        attribution="Llama 3.1 is licensed under the Llama 3.1 Community License, Copyright © Meta Platforms, Inc. All Rights Reserved.",
        model_name_prefix="Llama",
        display="Built with Llama",
        acceptable_use="https://www.llama.com/llama3_1/use-policy/",
    ),
    # Before 3.1, 1.b.v kept outputs from all other models; a reward model's grade is a result as well.
    Licence(
        "llama-3-community",
        "Meta Llama 3 Community License",
        "https://www.llama.com/llama3/license/",
        "2024-04-18",
        forbids={"training": "1.b.v: neither the model nor any output or result of it may be used to improve another large language model"},
        attribution="Meta Llama 3 is licensed under the Meta Llama 3 Community License, Copyright © Meta Platforms, Inc. All Rights Reserved.",
        model_name_prefix="Llama 3",
        display="Built with Meta Llama 3",
        acceptable_use="https://www.llama.com/llama3/use-policy/",
    ),
    Licence("apache-2.0", "Apache License 2.0", "https://www.apache.org/licenses/LICENSE-2.0", "2.0"),
    Licence("mit", "MIT License", "https://opensource.org/license/mit", "1"),
    Licence("cc0-1.0", "Creative Commons Zero 1.0", "https://creativecommons.org/publicdomain/zero/1.0/", "1.0"),
    Licence(
        "cc-by-4.0",
        "Creative Commons Attribution 4.0",
        "https://creativecommons.org/licenses/by/4.0/",
        "4.0",
        attribution="Contains material under CC BY 4.0; see the sources named in the data card.",
    ),
    Licence(
        "cc-by-sa-4.0",
        "Creative Commons Attribution-ShareAlike 4.0",
        "https://creativecommons.org/licenses/by-sa/4.0/",
        "4.0",
        attribution="Contains material under CC BY-SA 4.0; what quotes it carries the same terms.",
    ),
    Licence(
        "cc-by-nc-4.0",
        "Creative Commons Attribution-NonCommercial 4.0",
        "https://creativecommons.org/licenses/by-nc/4.0/",
        "4.0",
        forbids={"commerce": _NON_COMMERCIAL},
        attribution="Contains material under CC BY-NC 4.0; see the sources named in the data card.",
    ),
)
LICENCES = {licence.id: licence for licence in _LICENCES}


def find_licence(name: str) -> Licence:
    """Look a licence up by id, case aside. Raises RecipeError for an unknown one."""
    found = LICENCES.get(name.strip().lower())
    if found is None:
        raise RecipeError(f"unknown licence {name!r}: data of unknown terms can't be published; known ids are {', '.join(sorted(LICENCES))}")
    return found


def find_joined(joined: str) -> tuple[Licence, ...]:
    """Look up all licences of a row's `licence`, which joins several by AND. Raises RecipeError for an unknown one."""
    return tuple(find_licence(part) for part in joined.split(" AND "))


def allowed_uses(licence: Licence) -> tuple[Use, ...]:
    """List what data under a licence may be made for."""
    return tuple(use for use in get_args(Use) if not any(act in licence.forbids for act in ACTS[use]))


def refuse_use(licence: Licence, use: Use, *, what: str) -> None:
    """Raise RecipeError, with the clause, if a licence forbids what a data set is declared to be made for; `what` is under the licence."""
    for act in ACTS[use]:
        if act in licence.forbids:
            allowed = allowed_uses(licence)
            raise RecipeError(
                f"{what} is under the {licence.title} ({licence.version}), which forbids `use: {use}` in its clause {licence.forbids[act]}; "
                f"name another in its place, or declare `use: {allowed[-1]}` if that is what the data is for"
            )

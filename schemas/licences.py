"""Licences of models and seeds: what each asks of data made with it.

Facts, not legal advice; sources are named on each entry. An unknown licence fails closed: a recipe that names one is refused.
"""

from dataclasses import dataclass

from schemas.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Licence:
    """What the holder of outputs must know."""

    id: str
    title: str
    url: str
    training_allowed: bool
    """May other models be trained on the outputs (or, for seeds, on the text)?"""
    attribution: str | None = None
    """A line that the data card and NOTICE must carry."""
    model_name_prefix: str | None = None
    """What the name of a model trained on the outputs must begin with."""
    display: str | None = None
    """What must be displayed prominently where such a model is offered."""


_LICENCES = (
    # Outputs are not derivative models (1.1); NVIDIA claims no ownership of them (2.4). Text of 14 June 2024.
    Licence("nvidia-open-model-2024-06", "NVIDIA Open Model License (June 2024)", "https://developer.nvidia.com/downloads/nv-open-model-license", True),
    # 1.b.i: 'Built with Llama' and the name prefix for models trained on outputs or results; text of 23 July 2024.
    Licence(
        "llama-3.1-community",
        "Llama 3.1 Community License",
        "https://www.llama.com/llama3_1/license/",
        True,
        attribution="Llama 3.1 is licensed under the Llama 3.1 Community License, Copyright © Meta Platforms, Inc. All Rights Reserved.",
        model_name_prefix="Llama",
        display="Built with Llama",
    ),
    Licence("apache-2.0", "Apache License 2.0", "https://www.apache.org/licenses/LICENSE-2.0", True),
    Licence("mit", "MIT License", "https://opensource.org/license/mit", True),
    Licence("cc0-1.0", "Creative Commons Zero 1.0", "https://creativecommons.org/publicdomain/zero/1.0/", True),
    Licence(
        "cc-by-4.0",
        "Creative Commons Attribution 4.0",
        "https://creativecommons.org/licenses/by/4.0/",
        True,
        attribution="Contains material under CC BY 4.0; see the sources named in the data card.",
    ),
    Licence(
        "cc-by-sa-4.0",
        "Creative Commons Attribution-ShareAlike 4.0",
        "https://creativecommons.org/licenses/by-sa/4.0/",
        True,
        attribution="Contains material under CC BY-SA 4.0; what quotes it carries the same terms.",
    ),
)
LICENCES = {licence.id: licence for licence in _LICENCES}


def find_licence(name: str) -> Licence:
    """Look a licence up by id, case aside. Raises RecipeError for an unknown one."""
    found = LICENCES.get(name.strip().lower())
    if found is None:
        raise RecipeError(f"unknown licence {name!r}: data of unknown terms can't be published; known ids are {', '.join(sorted(LICENCES))}")
    return found

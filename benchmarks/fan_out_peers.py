"""One peer's way to have many prompts answered by a served model, in an environment of its own: `python fan_out_peers.py PEER URL PROMPTS SLOTS FOLDER`.

Each is told the slots, as it has no way to find them. Prints "ready" when everything is imported and set up, and at the end how many answers it got. Imports
nothing of ours.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any


def ready() -> None:
    print("ready", flush=True)


def openai(url: str, prompts: list[str], slots: int, folder: Path) -> int:
    """The plain client with a semaphore, as most scripts have it."""
    from openai import AsyncOpenAI  # type: ignore[import-not-found,unused-ignore]

    async def run() -> int:
        client, gate, answers = AsyncOpenAI(base_url=url, api_key="none"), asyncio.Semaphore(slots), []

        async def one(prompt: str) -> None:
            async with gate:
                said = await client.chat.completions.create(model="served", messages=[{"role": "user", "content": prompt}], max_tokens=64)
            answers.append(said.choices[0].message.content)

        ready()
        await asyncio.gather(*(one(prompt) for prompt in prompts))
        (folder / "answers.json").write_text(json.dumps(answers))
        return len(answers)

    return asyncio.run(run())


def distilabel(url: str, prompts: list[str], slots: int, folder: Path) -> int:
    from distilabel.models import OpenAILLM  # type: ignore[import-not-found,unused-ignore]
    from distilabel.pipeline import Pipeline  # type: ignore[import-not-found,unused-ignore]
    from distilabel.steps import LoadDataFromDicts  # type: ignore[import-not-found,unused-ignore]
    from distilabel.steps.tasks import TextGeneration  # type: ignore[import-not-found,unused-ignore]

    with Pipeline(name="bench", cache_dir=folder) as pipeline:
        load = LoadDataFromDicts(data=[{"instruction": prompt} for prompt in prompts], batch_size=slots)
        llm = OpenAILLM(model="served", base_url=url, api_key="none", generation_kwargs={"max_new_tokens": 64})
        load >> TextGeneration(llm=llm, input_batch_size=slots)
    ready()
    made = pipeline.run(use_cache=False)
    return sum(row["generation"] is not None for row in made["default"]["train"])


def curator(url: str, prompts: list[str], slots: int, folder: Path) -> int:
    os.environ |= {
        "CURATOR_CACHE_DIR": str(folder),
        "CURATOR_DISABLE_CACHE": "1",
        "TELEMETRY_ENABLED": "0",
        "CURATOR_DISABLE_RICH_DISPLAY": "1",
        "OPENAI_API_KEY": "none",
    }
    from bespokelabs import curator as library  # type: ignore[import-not-found,unused-ignore]

    limits = {"max_concurrent_requests": slots, "max_requests_per_minute": 10**6, "max_tokens_per_minute": 10**9}
    how: dict[str, Any] = {"base_url": url, "api_key": "none", "invalid_finish_reasons": [], **limits}
    llm = library.LLM(model_name="openai/served", backend="litellm", backend_params=how, generation_params={"max_tokens": 64})
    ready()
    made = llm(prompts)
    return len(getattr(made, "dataset", made))


def data_designer(url: str, prompts: list[str], slots: int, folder: Path) -> int:
    os.environ |= {"NEMO_TELEMETRY_ENABLED": "false", "DATA_DESIGNER_HOME": str(folder / "home")}
    import data_designer.config as dd  # type: ignore[import-not-found,unused-ignore]
    import pandas as pd
    from data_designer.interface import DataDesigner  # type: ignore[import-not-found,unused-ignore]

    provider = dd.ModelProvider(name="local", endpoint=url, provider_type="openai", api_key="none")
    how = dd.ChatCompletionInferenceParams(max_parallel_requests=slots, max_tokens=64)
    model = dd.ModelConfig(alias="served", model="served", provider="local", inference_parameters=how)
    builder = dd.DataDesignerConfigBuilder(model_configs=[model])
    builder.with_seed_dataset(dd.DataFrameSeedSource(df=pd.DataFrame({"prompt": prompts})))
    builder.add_column(dd.LLMTextColumnConfig(name="answer", model_alias="served", prompt="{{ prompt }}"))
    designer = DataDesigner(artifact_path=folder / "artifacts", model_providers=[provider])
    ready()
    return len(designer.create(builder, num_records=len(prompts)).load_dataset())


def main() -> None:
    peer, url, prompts, slots, folder = sys.argv[1:]
    lines = Path(prompts).read_text(encoding="utf-8").splitlines()
    answers = globals()[peer](url, [json.loads(line) for line in lines], int(slots), Path(folder))
    print(json.dumps({"answers": answers}), flush=True)


if __name__ == "__main__":
    main()

"""Trains a toy model one step on an export with TRL's own trainer; run by test_trainers.py in an environment of its own, which knows nothing of us.

python train_a_step.py TRAINER FOLDER SCRATCH: prints, as JSON, the rows of each split, what the trainer made of the first one, and the step's loss.
"""

# mypy: disable-error-code="import-not-found"
# None of what it imports is installed where mypy runs.

import importlib
import json
import sys
from collections.abc import Iterable
from typing import Any

import torch
from datasets import load_dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, LlamaConfig, PreTrainedTokenizerFast

TEMPLATE = "{% for turn in messages %}<|{{ turn.role }}|>{{ turn.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]


def a_tokenizer(texts: Iterable[str]) -> Any:
    """Train a tokenizer that can write every text, with a chat template and tokens of its own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|end|>", chat_template=TEMPLATE)


def a_model(tokenizer: Any, kind: Any, folder: str) -> Any:
    """A toy from a folder, as trainers load their reference model from where the model came from."""
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
    config = LlamaConfig(vocab_size=len(tokenizer), pad_token_id=0, eos_token_id=1, bos_token_id=None, num_labels=1, **size)
    kind.from_config(config).save_pretrained(folder)
    return kind.from_pretrained(folder)


def main(name: str, folder: str, scratch: str) -> None:
    """Load, train, tell."""
    torch.manual_seed(0)
    data = load_dataset(folder, cache_dir=f"{scratch}/cache")
    tokenizer = a_tokenizer([json.dumps(row, ensure_ascii=False) for row in data["train"]])
    trl = importlib.import_module("trl")
    config = getattr(trl, f"{name}Config")(
        output_dir=f"{scratch}/out", max_steps=1, per_device_train_batch_size=2, report_to=[], use_cpu=True, bf16=False, disable_tqdm=True, save_strategy="no"
    )
    kind = AutoModelForSequenceClassification if name == "Reward" else AutoModelForCausalLM
    trainer = getattr(trl, f"{name}Trainer")(
        model=a_model(tokenizer, kind, f"{scratch}/model"),
        args=config,
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        processing_class=tokenizer,
    )
    first = {column: tokenizer.decode(value) for column, value in trainer.train_dataset[0].items() if column.endswith("_ids")}
    loss = trainer.train().training_loss
    print(json.dumps({"rows": {split: len(rows) for split, rows in data.items()}, "seen": len(trainer.train_dataset), "first": first, "loss": loss}))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""TRL reads a preference data set and takes a step of its reward training: `python read_by_trl.py FOLDER SCRATCH`.

A program of its own, because TRL need not be installed beside prefrl. Nothing is downloaded: the model is a tiny
one of random weights, and a token is a byte. What it saw is printed as JSON.
"""

import json
import os
import sys
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")

from datasets import load_dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast
from trl import RewardConfig, RewardTrainer
from trl.trainer.reward_trainer import DataCollatorForPreference


def tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {sign: number for number, sign in enumerate(["<pad>", "<eos>", *alphabet])}
    tokens = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokens, pad_token="<pad>", eos_token="<eos>")


def main(folder: Path, scratch: Path) -> None:
    data = load_dataset(str(folder), split="train", cache_dir=str(scratch / "cache"))
    words = tokenizer()
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_labels=1, pad_token_id=words.pad_token_id,
    )  # fmt: skip
    settings = RewardConfig(
        output_dir=str(scratch / "out"), max_length=None, max_steps=1, per_device_train_batch_size=2, use_cpu=True,
        report_to=[], save_strategy="no", logging_steps=1, bf16=False, disable_tqdm=True,
    )  # fmt: skip
    model = LlamaForSequenceClassification(config)
    trainer = RewardTrainer(model=model, args=settings, processing_class=words, train_dataset=data)
    done = trainer.train()
    prepared = trainer.train_dataset
    batch = DataCollatorForPreference(pad_token_id=words.pad_token_id)([prepared[0]])
    seen = {
        "rows": len(data),
        "columns": data.column_names,
        "first": {name: data[0][name] for name in ("prompt", "chosen", "rejected")},
        "chosen_as_read": words.decode(prepared[0]["chosen_ids"], skip_special_tokens=True),
        "rejected_as_read": words.decode(prepared[0]["rejected_ids"], skip_special_tokens=True),
        "batch": len(batch["input_ids"]),
        "steps": done.global_step,
        "loss": done.training_loss,
    }
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""The HF Trainer with checkpoints that hold no pickle: optimiser and random state as safetensors and JSON.

A checkpoint is read again after a crash, from a folder that anyone may have written to; so it must not be able to run code.
Single process and data-parallel training; sharded optimisers (FSDP, DeepSpeed) keep the Trainer's own files.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import Trainer

TENSORS, PLAIN = "optimizer.safetensors", "training.json"


class SafeTrainer(Trainer):
    """A Trainer that writes and reads its optimiser, schedule and random state without pickle."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        (Path(output_dir or str(self.args.output_dir)) / "training_args.bin").unlink(missing_ok=True)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if self.args.should_save and self.optimizer is not None and self.lr_scheduler is not None:
            optimizer: Any = self.optimizer
            schedule: Any = self.lr_scheduler
            state = optimizer.state_dict()
            tensors = {
                f"{i}.{name}": value.contiguous().cpu()
                for i, one in state["state"].items()
                for name, value in one.items()
            }
            save_file(tensors, Path(output_dir) / TENSORS)
            plain = {"groups": state["param_groups"], "scheduler": schedule.state_dict()}
            (Path(output_dir) / PLAIN).write_text(json.dumps(plain), encoding="utf-8")

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if (
            checkpoint is None
            or self.optimizer is None
            or self.lr_scheduler is None
            or not (Path(checkpoint) / PLAIN).is_file()
        ):
            return
        plain = json.loads((Path(checkpoint) / PLAIN).read_text(encoding="utf-8"))
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in load_file(Path(checkpoint) / TENSORS).items():
            number, _, key = name.partition(".")
            state.setdefault(int(number), {})[key] = value
        optimizer: Any = self.optimizer
        schedule: Any = self.lr_scheduler
        optimizer.load_state_dict({"state": state, "param_groups": plain["groups"]})
        schedule.load_state_dict(plain["scheduler"])

    def _save_rng_state(self, output_dir: str) -> None:
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        (Path(output_dir) / self._rng_name()).write_text(json.dumps(_random_state()), encoding="utf-8")

    def _load_rng_state(self, checkpoint: str | None) -> None:
        path = Path(checkpoint or "") / self._rng_name()
        if checkpoint is not None and path.is_file():
            _restore_random_state(json.loads(path.read_text(encoding="utf-8")))

    def _rng_name(self) -> str:
        return f"random.{self.args.process_index}.json"


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    found = [path for path in folder.glob("checkpoint-*") if (path / "trainer_state.json").is_file()]
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _random_state() -> dict[str, Any]:
    version, words, gauss = random.getstate()
    kind, keys, *rest = np.random.get_state()
    return {
        "python": [version, list(words), gauss],
        "numpy": [kind, np.asarray(keys).tolist(), *rest],
        "torch": torch.get_rng_state().tolist(),
        "cuda": [one.tolist() for one in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else [],
    }


def _restore_random_state(state: dict[str, Any]) -> None:
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
    if state["cuda"] and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all([torch.tensor(one, dtype=torch.uint8) for one in state["cuda"]])

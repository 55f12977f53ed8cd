"""An encoder's network in ONNX with weights of 8 bits: about half the time on a CPU, and vectors that are nearly the same.

Weights are rounded by output channel to 7 bits, since processors without VNNI overflow at 8; what flows between the layers is rounded
over the whole input of the network, so texts go through it one by one: a vector must not depend on its neighbours.
A head fitted on torch's vectors gave the same label by these for 178 of 178 BBC and 622 of 634 AG News articles (98.1 %).
The file is derived from the encoder's weights, named by their digest and the versions that made it, and made again where it is missing.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import replacing
from pipeline.errors import ConfigError

INPUTS = ("input_ids", "attention_mask")


@dataclass(frozen=True, slots=True)
class Int8Network:
    """Hidden states of single texts by ONNX Runtime."""

    session: Any

    @classmethod
    def of(cls, model: Any, weights_digest: str, folder: Path | None) -> Self:
        """The network of a transformers model, kept in `folder`, or for this process only; `model` is called if there is none yet.

        Raises:
            ConfigError: ONNX or ONNX Runtime is not installed.
        """
        try:
            import onnx
            import onnxruntime
        except ImportError as error:
            raise ConfigError(
                f"backend onnx_int8: {error.name} is not installed; pip install 'slugline[onnx]'"
            ) from None
        name = f"{weights_digest[:24]}-{onnx.__version__}-{onnxruntime.__version__}.int8.onnx"
        with tempfile.TemporaryDirectory() as scratch:
            path = (folder or Path(scratch)) / name
            if not path.is_file():
                with replacing(path) as temporary:
                    write_int8(model(), temporary)
            return cls(onnxruntime.InferenceSession(path.read_bytes(), _options(), providers=["CPUExecutionProvider"]))

    def mean(self, ids: list[int]) -> NDArray[np.float64]:
        """The mean of the last hidden states of one text, scaled to unit length."""
        row = np.array([ids], dtype=np.int64)
        (hidden,) = self.session.run(None, dict(zip(INPUTS, (row, np.ones_like(row)), strict=True)))
        mean = hidden[0].astype(np.float64).mean(axis=0)
        return mean / max(float(np.linalg.norm(mean)), 1e-12)


def write_int8(model: Any, path: Path) -> None:
    """Write a transformers model (token ids to last hidden states) as ONNX with weights of 8 bits."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    class LastHidden(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    model.set_attn_implementation("eager")  # the fused attention has no ONNX operator
    ids = torch.ones((1, 8), dtype=torch.int64)
    axes = {name: {0: "n_texts", 1: "n_tokens"} for name in (*INPUTS, "hidden")}
    whole = path.with_suffix(".fp32")
    with warnings.catch_warnings(), _quiet_root_logger():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            LastHidden().eval(), (ids, ids), str(whole), input_names=list(INPUTS), output_names=["hidden"],
            dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
        quantize_dynamic(whole, path, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
    whole.unlink()


def _options() -> Any:
    import onnxruntime

    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or 0)
    options.log_severity_level = 3
    return options


class _quiet_root_logger:
    """The quantiser warns through the root logger of what is no concern here."""

    def __enter__(self) -> None:
        logging.getLogger().addFilter(_no_preprocessing_hint)

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeFilter(_no_preprocessing_hint)


def _no_preprocessing_hint(record: logging.LogRecord) -> bool:
    return "pre-processing before quantization" not in record.getMessage()

"""`kind: adapter`: a sentence encoder fine-tuned on text and target together, kept as a small adapter over the encoder's own weights.

The decision that is not obvious: nothing is learnt k times over to be calibrated. One fold is set aside while the network learns the
others, its probabilities are the ones calibrated on, and the network stays as it is; `calibration.n_folds` says how much that costs. What
`start` names must not have learnt that fold either, or the calibration is too sure of itself.
Logits are rounded, so that what padding changes in the last bits is (nearly always) rounded away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Bounds
from safetensors.numpy import load_file, save_file

from pipeline.classifiers import negation
from pipeline.classifiers.encoder import Encoder
from pipeline.classifiers.head import Array, softmax
from pipeline.classifiers.header import check_encoder, read_header, write_header
from pipeline.classifiers.labels import Labels, label_matrix
from pipeline.classifiers.pairs import Pair, PairMaker
from pipeline.classifiers.target import mention_of
from pipeline.config import Config
from pipeline.document import Example
from pipeline.errors import ArtifactError
from pipeline.home import shipped

if TYPE_CHECKING:
    from pipeline.classifiers.adapted import Network, Schedule

MEMBER_STEP = 1000  # members' seeds lie this far apart, so that models of neighbouring seeds share none
_DECIMALS = 4
_MARK = '"'  # the vectors that mark the target start as that of a quotation mark


class AdapterConfig(Config):
    """Settings of an adapter.

    `bits` are kept of the change of a weight, `members` is how many trainings from one start are averaged. `balance` is the power of a
    label's rarity that weighs it in the loss (0 not at all, 1 fully), `averaging` how much of the running mean of the weights a step keeps
    (0 takes the last ones), `warm_up` the share of steps in which the learning rate rises; `precision` that of the forward pass while
    learning, `auto` for bfloat16 where the processor has it. In a share of what an epoch learns, `renamed`, the target goes by another
    example's name, so that names say less. With `consistency` each example is learnt in two readings at once, one by its own name and
    one in which `renamed` applies, and so much of how far the two answers are apart is added to the loss; a batch then has half as many
    examples (single labels only). `negated` is how many examples are learnt once more with what they say denied by rule (`negation`), as
    a share of all, as anything but their label. `start` names saved models of the same labels, such as `models/stance`, whose adapters'
    mean the trainings start from; with no `epochs` that mean is what is learnt. Without `start` they start from the encoder as it comes.
    """

    kind: Literal["adapter"]
    encoder: str
    bits: int = Bounds(ge=1, le=8)
    max_tokens: int = Bounds(ge=16)
    max_target_tokens: int = Bounds(ge=1)
    members: int = Bounds(ge=1)
    epochs: int = Bounds(ge=0)
    batch_size: int = Bounds(ge=1)
    learning_rate: float = Bounds(gt=0)
    head_learning_rate: float = Bounds(gt=0)
    warm_up: float = Bounds(ge=0, le=1)
    weight_decay: float = Bounds(ge=0)
    label_smoothing: float = Bounds(ge=0, lt=1)
    dropout: float = Bounds(ge=0, lt=1)
    averaging: float = Bounds(ge=0, lt=1)
    balance: float = Bounds(ge=0, le=1)
    precision: Literal["auto", "float32", "bfloat16"]
    renamed: float = Bounds(ge=0, le=1)
    negated: float = Bounds(ge=0)
    consistency: float = Bounds(ge=0, default=0.0)
    start: tuple[Path, ...] = ()


@dataclass(slots=True)
class AdapterClassifier:
    """An encoder with a learned adapter and head; see the module."""

    config: AdapterConfig
    multi_label: bool
    seed: int
    classes_: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, dtype=np.str_))
    adapter_: dict[str, NDArray[Any]] = field(default_factory=dict)
    start_digests_: list[str] = field(default_factory=list)
    encoder_: Encoder = field(init=False)
    _network: Network | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.encoder_ = Encoder(self.config.encoder, self.config.max_tokens, 1, self.config.batch_size, None)

    def fit(self, examples: Sequence[Example], y: Labels) -> Self:
        """Itself, fitted.

        Raises:
            DataError: nothing to learn from, or one class only.
            ArtifactError: `start` names what is no model to go on from.
        """
        self.classes_, member = label_matrix(y, multi_label=self.multi_label)
        self._learn(examples, member)
        return self

    def out_of_fold(self, examples: Sequence[Example], y: Labels, folds: NDArray[np.int64] | None) -> Array:
        """Probabilities of the examples of one fold, which it does not learn, NaN for the others; leaves itself fitted on those."""
        self.classes_, member = label_matrix(y, multi_label=self.multi_label)
        answer = np.full(member.shape, np.nan)
        aside = _fold_aside(member, folds)
        self._learn([one for one, out in zip(examples, aside, strict=True) if not out], member[~aside])
        if aside.any():
            answer[aside] = self.predict_proba([one for one, out in zip(examples, aside, strict=True) if out])
        return answer

    def scores(self, examples: Sequence[Example]) -> Array:
        """One logit an example and label, rounded; each distinct pair is asked once."""
        from pipeline.classifiers.adapted import logits

        makes = self._pairs(None)
        pairs = [makes.pair(example) for example in examples]
        distinct = list(dict.fromkeys(pairs))
        place = {pair: i for i, pair in enumerate(distinct)}
        found = logits(self._ready(), distinct, self.config.batch_size)
        return np.round(found[[place[pair] for pair in pairs]], _DECIMALS)

    def predict_proba(self, examples: Sequence[Example]) -> Array:
        """Raw probabilities, float64 (n, n_classes)."""
        if not examples:
            return np.empty((0, len(self.classes_)))
        scores = self.scores(examples)
        return 1.0 / (1.0 + np.exp(-scores)) if self.multi_label else softmax(scores)

    def sentence_weights(self, example: Example, spans: Sequence[tuple[int, int]], label: str) -> Array:
        """How far the label's score falls when a span is blanked out; the span that holds the mention keeps the whole score."""
        label_id = int(np.flatnonzero(self.classes_ == label)[0])
        mention = mention_of(example)
        blanked = [replace(example, text=example.text[:a] + " " * (b - a) + example.text[b:]) for a, b in spans]
        scores = self.scores([example, *blanked])[:, label_id]
        holds = [mention is not None and a <= mention[0] < b for a, b in spans]
        return np.where(holds, scores[0], scores[0] - scores[1:])

    def save(self, folder: Path) -> None:
        """Writes `classifier.json` and the adapter; the encoder is named by its digest, not copied."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.adapter_, folder / "adapter.safetensors")
        write_header(folder, self, encoder=self.encoder_.digest, start_digests=self.start_digests_)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The classifier that `save` wrote; the encoder is read when it is first asked.

        Raises:
            ArtifactError: the encoder at hand is not the one the adapter was trained on.
        """
        header = read_header(folder)
        config = AdapterConfig.model_validate(header["config"])
        loaded = cls(config, header["multi_label"], header["seed"])
        check_encoder(folder, loaded.encoder_, header["encoder"])
        loaded.classes_ = header["classes"]
        loaded.adapter_ = load_file(folder / "adapter.safetensors")
        loaded.start_digests_ = header.get("start_digests", [])
        return loaded

    def _learn(self, examples: Sequence[Example], member: NDArray[np.bool_]) -> None:
        from pipeline.classifiers import adapted

        n = np.maximum(1, member.sum(axis=0))
        weights = ((n.sum() / len(n) / n) ** self.config.balance).astype(np.float32)
        learnt, goals = self._with_denials(examples, member)
        found = [
            adapted.train(self._begun(), self._drawing(learnt, seed), goals, weights, self._schedule(seed))
            for seed in range(self.seed, self.seed + MEMBER_STEP * self.config.members, MEMBER_STEP)
        ]
        mean = {name: np.mean([one[name] for one in found], axis=0) for name in found[0]}
        self.adapter_ = self._fresh().changes(mean, self.config.bits)
        self._network = None

    def _drawing(self, examples: Sequence[Example], seed: int) -> Callable[[int], list[list[Pair]]]:
        """What makes an epoch's pairs: of a share of them the target goes by another one's name; with `consistency` all by their own, too."""
        own = [self._pairs(None).pair(one) for one in examples]
        spans = [mention_of(one) for one in examples]
        names = sorted({one.text[slice(*span)] for one, span in zip(examples, spans, strict=True) if span is not None})
        rng, is_read_twice = np.random.default_rng(seed), self._schedule(seed).n_readings > 1

        def drawn(epoch: int) -> list[list[Pair]]:
            other = rng.random(len(own)) < self.config.renamed
            made = [
                self._pairs(names[int(rng.integers(len(names)))]).pair(one) if differs and span is not None else pair
                for one, span, pair, differs in zip(examples, spans, own, other, strict=True)
            ]
            return [own, made] if is_read_twice else [made]

        return drawn

    def _schedule(self, seed: int) -> Schedule:
        from pipeline.classifiers.adapted import Schedule

        own = self.config
        return Schedule(
            own.epochs,
            own.batch_size,
            own.learning_rate,
            own.head_learning_rate,
            own.warm_up,
            own.weight_decay,
            own.label_smoothing,
            own.consistency,
            own.averaging,
            own.precision,
            self.multi_label,
            seed,
        )

    def _with_denials(
        self, examples: Sequence[Example], member: NDArray[np.bool_]
    ) -> tuple[list[Example], NDArray[np.float32]]:
        """The examples and what each should be answered, those denied by rule at the end: they are any of the other labels alike."""
        goals, n_wanted = member.astype(np.float32), round(self.config.negated * len(examples))
        if not n_wanted or self.multi_label:
            return list(examples), goals
        rng, vocabulary = np.random.default_rng(self.seed), self.encoder_.tokenizer.get_vocab()
        added: dict[int, Example] = {}
        for i in rng.permutation(len(examples)).tolist():
            if len(added) < n_wanted:
                denial = negation.denied(examples[i], vocabulary, rng)
                added |= {i: denial} if denial is not None else {}
        others = (~member[list(added)]).astype(np.float32) / np.float32(max(1, len(self.classes_) - 1))
        return [*examples, *added.values()], np.concatenate([goals, others], dtype=np.float32)

    def _pairs(self, stand_in: str | None) -> PairMaker:
        return PairMaker(self.encoder_.tokenizer, self.config.max_tokens, self.config.max_target_tokens, stand_in)

    def _fresh(self) -> Network:
        """A network of which nothing is learnt yet, the same for a seed."""
        from pipeline.classifiers.adapted import Network, seeded

        mark = self.encoder_.tokenizer.encode(_MARK, add_special_tokens=False).ids[0]
        with seeded(self.seed):
            return Network(self.encoder_.own_model(), len(self.classes_), mark, self.config.dropout)

    def _begun(self) -> Network:
        """The network that a training starts from.

        Raises:
            ArtifactError: `start` names no model, a changed one, another kind of model, or one of other labels or of another encoder.
        """
        network = self._fresh()
        found = [self._at_start(folder) for folder in self.config.start]
        self.start_digests_ = [digest for digest, _ in found]
        if found:
            network.set({name: np.mean([one[name] for _, one in found], axis=0) for name in found[0][1]})
        return network

    def _at_start(self, folder: Path) -> tuple[str, dict[str, NDArray[np.float32]]]:
        """The digest of a saved model and what it learnt."""
        from pipeline.classifiers.task_model import TaskModel

        model = TaskModel.load(Path(shipped(str(folder))))
        begun = model.classifier
        if not isinstance(begun, AdapterClassifier):
            raise ArtifactError(f"start: {folder} is no model of `kind: adapter`; name one, or leave `start` out")
        if begun.encoder_.weights != self.encoder_.weights or begun.classes_.tolist() != self.classes_.tolist():
            raise ArtifactError(
                f"start: {folder} knows the labels {', '.join(begun.classes_)} by {begun.config.encoder}; "
                f"these are {', '.join(self.classes_)} by {self.config.encoder}; name another, or leave `start` out"
            )
        network = self._fresh()
        network.take(begun.adapter_, begun.config.bits)
        return model.saved_digest, network.values()

    def _ready(self) -> Network:
        """The network with what was learnt, as it was saved."""
        if self._network is None:
            network = self._fresh()
            network.take(self.adapter_, self.config.bits)
            self._network = network.requires_grad_(False).eval()
        return self._network


def _fold_aside(member: NDArray[np.bool_], folds: NDArray[np.int64] | None) -> NDArray[np.bool_]:
    """The rows of the first fold without which every label is still learnt; none where there is no such fold."""
    for fold in [] if folds is None else np.unique(folds).tolist():
        aside = folds == fold
        if member[~aside].any(axis=0).all():
            return aside
    return np.zeros(len(member), dtype=bool)

"""The head over time: a small network of dilated convolutions over the features of a whole film, as
in MS-TCN (Farha and Gall, CVPR 2019), and its training.

Several networks that differ in their random numbers are averaged. Padding is zeroed after every
layer, so that it never changes a result.

B films, T times, S features, C channels, A labels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from orn.shared.jobs.progress import Bar

_CHANNELS, _LAYERS, _STAGES = 48, 6, 2
_MEMBERS = 3
"""Number of networks that are averaged."""
_INPUT_DROPOUT, _DROPOUT = 0.4, 0.3
_EPOCHS, _BATCH, _LEARNING_RATE, _WEIGHT_DECAY, _CLIP = 60, 8, 1e-3, 1e-2, 5.0
_NOISE = 0.1
"""Standard deviation of noise that is added to standardized features in training."""
_SMOOTH, _MOST_CHANGE = 0.15, 4.0
"""Weight of the loss of changes between neighboring times, and their limit, as in MS-TCN."""
_MOST_TIMES = 2048
"""Times of a film in a batch; of longer films, a random part."""
_LEAST_DEVIATION = 1e-3
_UNKNOWN = -1
"""Label of a time that was not observed."""


class _Layer(nn.Module):
    """Dilated convolution with a residual connection."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.dilated = nn.Conv1d(_CHANNELS, _CHANNELS, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(_CHANNELS, _CHANNELS, 1)
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, input_BCT: Tensor, valid_B1T: Tensor) -> Tensor:
        added_BCT = self.dropout(self.mix(functional.relu(self.dilated(input_BCT))))
        return (input_BCT + added_BCT) * valid_B1T


class _Stage(nn.Module):
    """Convolutions with dilations of 1, 2, 4, ..."""

    def __init__(self, inputs: int, labels: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, _CHANNELS, 1)
        self.layers = nn.ModuleList(_Layer(2**number) for number in range(_LAYERS))
        self.last = nn.Conv1d(_CHANNELS, labels, 1)

    def forward(self, input_BST: Tensor, valid_B1T: Tensor) -> Tensor:
        own_BCT = self.first(input_BST) * valid_B1T
        for layer in self.layers:
            own_BCT = layer(own_BCT, valid_B1T)
        logits_BAT: Tensor = self.last(own_BCT)
        return logits_BAT


class FilmHead(nn.Module):
    """A network of two stages: the second refines the probabilities of the first."""

    def __init__(self, features: int, labels: int, *, multi_label: bool) -> None:
        """Initialize with random weights.

        Args:
            features: S.
            labels: A.
            multi_label: whether a time can have several labels.
        """
        super().__init__()
        self.multi_label = multi_label
        self.dropout = nn.Dropout(_INPUT_DROPOUT)
        inputs = [features, *[labels] * (_STAGES - 1)]
        self.stages = nn.ModuleList(_Stage(own, labels) for own in inputs)

    def forward(self, features_BST: Tensor, valid_B1T: Tensor) -> list[Tensor]:
        """Return the (B, A, T) logits of each stage; the last ones are the prediction.

        Args:
            features_BST: standardized features, 0 in padding.
            valid_B1T: 1, or 0 in padding.
        """
        logits, own_BST = list[Tensor](), self.dropout(features_BST)
        for stage in self.stages:
            logits.append(stage(own_BST, valid_B1T))
            shares = logits[-1].sigmoid() if self.multi_label else logits[-1].softmax(1)
            own_BST = shares * valid_B1T
        return logits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingFilm:
    """The features and labels of a film."""

    features: NDArray[np.float16]
    """(T, S)."""
    labels: NDArray[np.int64] | NDArray[np.float32]
    """(T,) label of each time, or (T, A) zeros and ones; -1 where it was not observed."""


class FilmHeads(nn.Module):
    """The networks that are averaged, and the scale of their features."""

    def __init__(self, features: int, labels: int, *, multi_label: bool) -> None:
        """Initialize with random weights; for arguments see `FilmHead`."""
        super().__init__()
        self.members = nn.ModuleList(
            FilmHead(features, labels, multi_label=multi_label) for _ in range(_MEMBERS)
        )
        self.mean_S: Tensor
        self.deviation_S: Tensor
        self.register_buffer("mean_S", torch.zeros(features))
        self.register_buffer("deviation_S", torch.ones(features))
        self.multi_label = multi_label

    def standardized(self, features_TS: NDArray[np.float16]) -> Tensor:
        """Return (S, T) features of mean 0 and deviation 1 over the training films."""
        own_TS = torch.from_numpy(features_TS.astype(np.float32))
        return ((own_TS - self.mean_S) / self.deviation_S).T

    @torch.inference_mode()
    def logits(self, features_TS: NDArray[np.float16]) -> NDArray[np.float32]:
        """Return (T, A) float32 logarithms of probabilities at the times of a film, or log-odds for
        multiple labels."""
        self.eval()
        own_1ST = self.standardized(features_TS)[None]
        valid_11T = torch.ones(1, 1, own_1ST.shape[2])
        outputs = torch.stack([member(own_1ST, valid_11T)[-1][0].T for member in self.members])
        if self.multi_label:
            return outputs.mean(0).numpy()
        return outputs.log_softmax(-1).logsumexp(0).sub(np.log(_MEMBERS)).numpy()


def train_film_heads(
    films: Sequence[TrainingFilm], labels: int, *, multi_label: bool, seed: int, bar: Bar
) -> FilmHeads:
    """Return heads trained on films; the same films and seed give the same heads.

    Args:
        films: at least one film with a time.
        labels: A.
        multi_label: whether a time can have several labels.
        seed: random seed.
        bar: is advanced by one for each epoch of each network, of `num_epochs`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        width = films[0].features.shape[1]
        heads = FilmHeads(width, labels, multi_label=multi_label)
        heads.mean_S, heads.deviation_S = _scale(films)
        weight_A = _class_weights(films, labels)
        for number, member in enumerate(heads.members):
            _train(heads, member, films, weight_A, np.random.default_rng((seed, number)), bar)
    return heads.eval()


def num_epochs() -> int:
    """Return the number of epochs of all networks."""
    return _EPOCHS * _MEMBERS


def _scale(films: Sequence[TrainingFilm]) -> tuple[Tensor, Tensor]:
    """Return the (S,) mean and deviation of the features of films."""
    number = sum(len(film.features) for film in films)
    wide = [film.features.astype(np.float64) for film in films]
    mean_S = sum(own.sum(axis=0) for own in wide) / number
    square_S = sum(((own - mean_S) ** 2).sum(axis=0) for own in wide) / number
    deviation_S = np.sqrt(square_S) + _LEAST_DEVIATION
    mean, deviation = (torch.from_numpy(own.astype(np.float32)) for own in (mean_S, deviation_S))
    return mean, deviation


def _class_weights(films: Sequence[TrainingFilm], labels: int) -> Tensor:
    """Return the (A,) weights of labels: the inverse roots of their frequencies, with mean 1."""
    counts_A = np.ones(labels)
    for film in films:
        if film.labels.ndim == 2:
            counts_A += (film.labels > 0).sum(axis=0)
        else:
            counts_A += np.bincount(film.labels[film.labels >= 0], minlength=labels)
    weight_A = counts_A**-0.5
    return torch.from_numpy((weight_A / weight_A.mean()).astype(np.float32))


def _train(
    heads: FilmHeads,
    member: nn.Module,
    films: Sequence[TrainingFilm],
    weight_A: Tensor,
    rng: np.random.Generator,
    bar: Bar,
) -> None:
    optimizer = torch.optim.AdamW(
        member.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY
    )
    steps = _EPOCHS * -(-len(films) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps)
    member.train()
    for _ in range(_EPOCHS):
        for batch in _batches(films, rng):
            features_BST, valid_B1T, labels_BT = _collated(heads, batch)
            noisy_BST = features_BST + _NOISE * torch.randn_like(features_BST) * valid_B1T
            outputs = member(noisy_BST, valid_B1T)
            losses = [_loss(own, labels_BT, valid_B1T, weight_A) for own in outputs]
            loss = torch.stack(losses).sum()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(member.parameters(), _CLIP)
            optimizer.step()
            schedule.step()
        bar.advance()


def _batches(
    films: Sequence[TrainingFilm], rng: np.random.Generator
) -> Iterator[list[TrainingFilm]]:
    """Yield batches of films in random order, each film or a random part of it."""
    order = rng.permutation(len(films)).tolist()
    for first in range(0, len(order), _BATCH):
        batch = []
        for row in order[first : first + _BATCH]:
            film = films[row]
            begin = int(rng.integers(max(len(film.features) - _MOST_TIMES, 0) + 1))
            part = slice(begin, begin + _MOST_TIMES)
            batch.append(TrainingFilm(features=film.features[part], labels=film.labels[part]))
        yield batch


def _collated(heads: FilmHeads, films: Sequence[TrainingFilm]) -> tuple[Tensor, Tensor, Tensor]:
    """Return padded features, which times are valid, and labels, -1 in padding."""
    longest = max(len(film.features) for film in films)
    features_BST = torch.zeros(len(films), films[0].features.shape[1], longest)
    valid_B1T = torch.zeros(len(films), 1, longest)
    shape = (len(films), longest, *films[0].labels.shape[1:])
    labels_BT = torch.full(shape, _UNKNOWN, dtype=torch.from_numpy(films[0].labels).dtype)
    for row, film in enumerate(films):
        number = len(film.features)
        features_BST[row, :, :number] = heads.standardized(film.features)
        valid_B1T[row, :, :number] = 1
        labels_BT[row, :number] = torch.from_numpy(film.labels)
    return features_BST, valid_B1T, labels_BT


def _loss(logits_BAT: Tensor, labels_BT: Tensor, valid_B1T: Tensor, weight_A: Tensor) -> Tensor:
    """Return the loss of labels, and of changes between neighboring times."""
    if labels_BT.ndim == 3:
        target_BAT = labels_BT.movedim(2, 1)
        each_BAT = functional.binary_cross_entropy_with_logits(
            logits_BAT, target_BAT.clamp(min=0), reduction="none"
        )
        known_BAT = (target_BAT >= 0).float()
        loss = (each_BAT * known_BAT).sum() / known_BAT.sum().clamp(min=1)
        log_BAT = functional.logsigmoid(logits_BAT)
    else:
        each_BT = functional.cross_entropy(
            logits_BAT, labels_BT, weight_A, ignore_index=_UNKNOWN, reduction="none"
        )
        known_BT = labels_BT >= 0
        loss = each_BT.sum() / weight_A[labels_BT[known_BT]].sum().clamp(min=1e-6)
        log_BAT = logits_BAT.log_softmax(1)
    change_BAT = log_BAT[:, :, 1:] - log_BAT[:, :, :-1].detach()
    change_BAT = change_BAT.clamp(-_MOST_CHANGE, _MOST_CHANGE) * valid_B1T[:, :, 1:]
    return loss + _SMOOTH * change_BAT.square().mean()

"""
From checked spectra to what the network finds in them, with torch on a GPU.

The same steps as in `sedflux.predict.chain`.  Pieces of thousands of spectra are worked on by
several threads, each with a stream of its own: while one copies, another computes.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from sedflux.libraries.labels import STARS, LabelSet
from sedflux.network.tensor_continuum import TensorContinuum
from sedflux.network.tensor_pixels import (
    TensorRebinning,
    scale_tensors,
    smooth_tensors,
    sparse_tensor,
)
from sedflux.network.tensors import TensorNetwork
from sedflux.predict.chain import (
    MAX_IVAR,
    MAX_SNR,
    MOST_LN_FLUX,
    OF_LINES,
    OUTPUTS,
    Conditions,
)
from sedflux.predict.checks import CONSTANT_SPREAD, MIN_GOOD
from sedflux.predict.line_shapes import line_shapes
from sedflux.predict.pieces import near_input, pieces_of
from sedflux.predict.rejection import joint_filters
from sedflux.predict.screen import Screen
from sedflux.predict.tensor_rejection import reject_outlying_pixels
from sedflux.predict.tensor_screen import TensorScreen
from sedflux.spectra.arrays import CheckedSpectra, SpectrumArrays
from sedflux.spectra.grids import input_grid, optical_mean, sed_grid
from sedflux.spectra.normalise import input_basis

__all__ = ["TensorChain"]

#: Streams of the GPU, each with a piece, and threads that prepare pieces for them.
_STREAMS, _THREADS = 4, 6
#: Least number of spectra per piece, and largest number of their pixels.
_LEAST_PIECE, _MOST_PIXELS = 4096, 22_000_000
#: Memory of the GPU (bytes) that a pixel takes at the most, with all streams at work.
_PIXEL_MEMORY = 800
#: What the shapes of lines are measured in.
_OF_SHAPES = ("normalised", "ivar", "residual")
#: Why spectra cannot be used, by number.
_REASONS = np.array(["", "few", "dark", "constant"])


@dataclass(frozen=True)
class _Pixels:
    """The pixels around the input grid: which columns of spectra they are, and their operators."""

    columns: slice
    place: torch.Tensor | None
    real: torch.Tensor | None
    kernel: torch.Tensor | None
    rebin: TensorRebinning


class TensorChain:
    """
    Brings spectra to rest and onto the input grid, removes the continuum, and asks the network.

    Parameters
    ----------
    core : `~sedflux.network.tensors.TensorNetwork`
        Without convolutions and grid of labels.
    label_set : `~sedflux.libraries.labels.LabelSet`
    """

    torch: Any = torch

    def __init__(self, core: TensorNetwork, label_set: LabelSet) -> None:
        self._core, self._label_set, self._device = core, label_set, core.device
        self._grid = input_grid()
        self._continuum = TensorContinuum(input_basis(), core.device)
        self._average = self._constant(optical_mean(sed_grid()).toarray()[0])
        weights = core.arrays.weights
        self._sed_mean = self._constant(weights["sed_mean"].astype(float))
        self._start = self._constant(np.exp(weights["log_variance_start"]))
        self._joints = self._constant(joint_filters(core.arrays.projection.scaled, input_basis()))
        self._streams: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._on_gpu = core.device.type == "cuda"
        for _ in range(_STREAMS):
            self._streams.put(torch.cuda.Stream(core.device) if self._on_gpu else None)
        self._most_pixels = _MOST_PIXELS
        if self._on_gpu:
            memory = torch.cuda.get_device_properties(core.device).total_memory
            self._most_pixels = min(_MOST_PIXELS, memory // _PIXEL_MEMORY)
        self._wait()

    def __reduce__(self):
        return TensorChain, (self._core, self._label_set)

    def values(self, spectra: CheckedSpectra | SpectrumArrays, conditions: Conditions,
               pieces: list[slice], each: Callable[..., Any],
               done: Callable[[dict[str, np.ndarray], slice], None], *,
               screen: Callable[..., np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """
        Output of the network for N spectra, and what is needed to judge it.

        Parameters
        ----------
        spectra, conditions, each, done, screen
            See `sedflux.predict.chain.ArrayChain.values`.
        pieces : list of slice
            Of use to the processor alone.

        Returns
        -------
        values : dict of str to `~numpy.ndarray`, shape (N, ...)
            With relative SEDs, ``flux``, instead of ``mean``.
        """
        size = len(spectra)
        pixels = self._pixels(spectra.wavelength, conditions.kernel)
        own = self._pieces(size, pixels.columns.stop - pixels.columns.start)
        values = {"resolving_power": np.full(size, conditions.power)}
        lock = threading.Lock()
        own_screen = TensorScreen(screen, self._device) if isinstance(screen, Screen) else None
        self._wait()
        with _full_precision(), _threads(len(own)) as side_by_side:

            def work(piece):
                staged = self._staged(spectra, piece, pixels.columns)
                with self._stream() as stream:
                    found = self._piece(staged, conditions.velocity[piece], pixels,
                                        conditions.power, own_screen)
                    fetched = self._fetched(found, stream)
                fetched |= self._line_shapes(fetched, conditions.power, each)
                for name, value in fetched.items():
                    with lock:
                        if name not in values:
                            values[name] = np.empty((size, *value.shape[1:]), value.dtype)
                    values[name][piece] = value

            for piece, _ in zip(own, side_by_side(work, own), strict=True):
                done(values, piece)
        values["reasons"] = _REASONS[values["reasons"]]
        return values

    def _wait(self):
        """Wait until what all streams use is there."""
        if self._on_gpu:
            torch.cuda.current_stream(self._device).synchronize()

    def _constant(self, values):
        return torch.from_numpy(values).to(self._device)

    def _pixels(self, wavelength, kernel):
        """Where the pixels around the input grid stand in spectra, and their operators."""
        # A spectrum of its own columns tells them, and what marks the ends of gaps.
        columns = np.arange(wavelength.size, dtype=float)[None]
        near = near_input(SpectrumArrays(wavelength, columns, np.ones_like(columns), False))
        place, real = near.flux[0].astype(int), near.ivar[0] > 0
        begin, end = place[real].min(), place[real].max() + 1
        whole = bool(real.all())
        return _Pixels(
            slice(begin, end), None if whole else self._constant(np.where(real, place - begin, 0)),
            None if whole else self._constant(real),
            None if kernel is None else sparse_tensor(kernel, self._device),
            TensorRebinning(near.wavelength, self._grid, self._device))

    def _pieces(self, size, pixels):
        """Slices of so many spectra: one for each stream, unless they are too small or large."""
        most = max(self._most_pixels // max(pixels, self._grid.size), 1)
        own = min(max(-(-size // _STREAMS), _LEAST_PIECE), most)
        edges = np.linspace(0, size, -(-size // own) + 1).astype(int)
        return [slice(begin, end) for begin, end in pairwise(edges)]

    @contextmanager
    def _stream(self) -> Iterator[Any]:
        """A stream that no other thread uses; waits for one if all are in use."""
        stream = self._streams.get()
        try:
            with torch.inference_mode(), nullcontext() if stream is None else \
                    torch.cuda.stream(stream):
                yield stream
        finally:
            self._streams.put(stream)

    def _staged(self, spectra, piece, columns):
        """Spectra of one piece, in memory from which they are copied while the GPU works."""
        if isinstance(spectra, CheckedSpectra) and spectra.weights is not None:
            part = {"rows": spectra.rows, "weights": spectra.weights}
            marks = {"bad": spectra.marked, "unsure": spectra.unsure}
            factor = spectra.factor
        else:
            own = spectra.take(piece)
            part, marks, factor = {"rows": own.flux, "weights": own.ivar}, {}, None
            piece = slice(None)
        staged = {name: self._copy(value[piece, columns]) for name, value in part.items()}
        for name, several in marks.items():
            if several:
                marked = np.zeros(staged["rows"].shape, dtype=bool)
                for one in several:
                    marked |= one[piece, columns] != 0
                staged[name] = self._copy(marked)
        if factor is not None:
            staged["factor"] = self._copy(factor[columns])
        return staged

    def _copy(self, values):
        """A tensor with the numbers of an array, in pinned memory if there is a GPU."""
        kind = {"b": torch.bool}.get(values.dtype.kind, torch.float64)
        if values.dtype.kind == "f" and values.dtype.itemsize == 4:
            kind = torch.float32
        tensor = torch.empty(values.shape, dtype=kind, pin_memory=self._on_gpu)
        np.copyto(tensor.numpy(), values)
        return tensor

    def _fetched(self, found, stream):
        """Arrays of tensors."""
        if stream is None:
            return {name: value.numpy() for name, value in found.items()}
        host = {name: torch.empty(value.shape, dtype=value.dtype, pin_memory=True).copy_(
            value, non_blocking=True) for name, value in found.items()}
        stream.synchronize()
        return {name: value.numpy() for name, value in host.items()}

    def _piece(self, staged, velocity, pixels, power, screen):
        """Output of the network for some of the spectra, and why some of them are unusable."""
        own = {name: value.to(self._device, non_blocking=True) for name, value in staged.items()}
        flux, ivar = self._to_grid(own, velocity, pixels)
        reasons = _unusable(flux, ivar)
        usable = reasons == 0
        ivar *= usable[:, None]
        lines = self._lines(flux, ivar)
        shown, rejected = {}, torch.zeros(flux.shape, dtype=torch.bool, device=flux.device)
        if screen is not None:
            shown["screen"] = screen(*(lines[name] for name in ("normalised", "ivar", "evidence")))
        if self._label_set is STARS:
            # The shapes of lines are those of the spectrum as it came.
            shown |= {name: lines[name].clone() for name in _OF_SHAPES}
            rejected = reject_outlying_pixels(flux, ivar, lines, self._joints, self._lines)
        found = self._core.tensors(lines["normalised"], lines["ivar"], power, projected=lines)
        del found["residual"]
        found |= shown | {name: lines[name] for name in OF_LINES}
        found |= {"usable": usable & (found["good"] > 0), "reasons": reasons,
                  "rejected": rejected.sum(dim=1), "rejected_pixels": rejected}
        return self._relative(self._guarded(found))

    def _line_shapes(self, fetched, power, each):
        """Measures of lines, by the processor, which needs normalised spectra for them alone."""
        if self._label_set is not STARS:
            return {}
        lines = {name: fetched.pop(name) for name in _OF_SHAPES}
        parts = list(each(lambda some: line_shapes(
            {name: value[some] for name, value in lines.items()}, power),
            pieces_of(len(lines["ivar"]))))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _to_grid(self, own, velocity, pixels):
        """Flux and inverse variance on the input grid, in the rest frame."""
        flux, ivar = scale_tensors(own["rows"], own["weights"], own.get("bad"), own.get("unsure"),
                                   own.get("factor"))
        ivar = ivar.clamp_(max=MAX_IVAR).float()
        if pixels.place is not None:
            flux, ivar = (part[:, pixels.place] * pixels.real for part in (flux, ivar))
        if pixels.kernel is not None:
            flux, ivar = smooth_tensors(pixels.kernel, flux, ivar)
        if (velocity == velocity[0]).all():
            velocity = velocity[:1]
        return pixels.rebin(flux, ivar, self._constant(np.ascontiguousarray(velocity)))

    def _lines(self, flux, ivar):
        """Normalised spectra, their noise, and their projection."""
        normalised, ivar, spikes = self._continuum(flux, ivar)
        normalised = normalised.float()
        good = ivar > 0
        count = good.sum(dim=1).clamp(min=1)
        claimed = (ivar.sum(dim=1) / count).sqrt()
        # No training spectrum was better: what is called better is limited by other errors.
        ivar = ivar.clamp(max=MAX_SNR**2)
        snr = (ivar.sum(dim=1) / count).sqrt()
        return self._core.project(normalised, ivar) | {
            "normalised": normalised, "ivar": ivar, "snr": snr.double(),
            "claimed_snr": claimed.double(), "spikes": spikes,
            "good": good.double().mean(dim=1)}

    def _guarded(self, values):
        """The last guard: what is not finite becomes the mean of the training, and is marked."""
        finite = (values["mean"].abs() < MOST_LN_FLUX).all(dim=1)
        for name in OUTPUTS:
            finite &= torch.isfinite(values[name].flatten(1)
                                     if values[name].ndim > 1 else values[name][:, None]).all(dim=1)
        values["finite"] = finite
        bad = (~finite).nonzero()[:, 0]
        if len(bad):
            for name in OUTPUTS:
                values[name][bad] = 0.0
            values["mean"][bad] = self._sed_mean
            values["diagonal"][bad] = self._start
        return values

    def _relative(self, values):
        """Relative SEDs instead of their logarithms; what is small in double precision."""
        flux = values.pop("mean").exp_()
        flux /= (flux @ self._average)[:, None]
        small = {name: value.double() for name, value in values.items()
                 if value.dtype == torch.float32 and value.ndim == 1}
        return values | small | {"flux": flux}


@contextmanager
def _threads(pieces):
    """`map` whose calls run side by side, in the order of the pieces."""
    if pieces < 2:
        yield map
    else:
        with ThreadPoolExecutor(min(pieces, _THREADS)) as pool:
            yield pool.map


@contextmanager
def _full_precision():
    """Products of all digits of single precision, which training may have switched off."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _unusable(flux, ivar):
    """Why spectra cannot be used, by number; see `~sedflux.predict.checks.unusable_reasons`."""
    good = ivar > 0
    mean = (flux * good).sum(dim=1) / good.sum(dim=1).clamp(min=1)
    spread = ((flux - mean[:, None]).abs() * good).amax(dim=1)
    reasons = torch.where(spread <= CONSTANT_SPREAD * mean.abs(), 3, 0)
    reasons = torch.where(mean <= 0, 2, reasons)
    return torch.where(good.double().mean(dim=1) < MIN_GOOD, 1, reasons)

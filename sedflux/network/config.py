"""Hyper-parameters of the network."""

from dataclasses import asdict, dataclass

from sedflux.exceptions import ModelError

__all__ = ["Config"]


@dataclass(frozen=True)
class Config:
    """
    Hyper-parameters, stored with the weights.

    Attributes
    ----------
    arch : str
        Name of the architecture.
    pixels, samples : int
        Length of the input and of the SED.
    components : int
        Templates of the projection.
    sed_components : int
        Principal components of ln(SED) that mean and factor are built from.
    width, blocks, groups : int
        Width of the trunk, its residual blocks, and its channels of attention.
    channels : tuple of int
        Channels of the convolutional blocks; empty for none.  They find nothing that the
        projection misses and take six times as long to train.
    rank : int
        Directions of the covariance that each star has of its own, beside those that all
        stars share; and the rank to which predictions are compressed.
    knots : int
        Wavelengths at which the diagonal is predicted.
    labels : int
        Labels estimated on the side.
    shrink : bool
        False leaves the soft thresholds out, for comparison.
    references : int
        Ordinary stars whose coefficients the model holds, to tell what is none.
    """

    arch: str = "uara"
    pixels: int = 2430
    samples: int = 575
    components: int = 64
    sed_components: int = 32
    width: int = 256
    blocks: int = 4
    groups: int = 32
    channels: tuple[int, ...] = ()
    rank: int = 12
    knots: int = 24
    labels: int = 6
    shrink: bool = True
    references: int = 0

    def to_dict(self):
        """Plain values, for the header of the weights."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values):
        """Read back what `to_dict` gave; unknown names are refused."""
        unknown = set(values) - set(cls.__dataclass_fields__)
        if unknown:
            raise ModelError(
                f"model configuration has unknown entries {sorted(unknown)}; "
                "it was written by a newer sedflux: upgrade"
            )
        values = dict(values)
        if "channels" in values:
            values["channels"] = tuple(values["channels"])
        return cls(**values)

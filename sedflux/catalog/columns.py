"""
Units, descriptions and UCDs of the columns of a catalogue's table, as metadata of Parquet files.

astropy reads them from a header of its own, TOPCAT and other programs of the Virtual
Observatory from a VOTable without rows.
"""

from __future__ import annotations

from xml.etree import ElementTree

import pyarrow
from astropy import units as u
from astropy.table import Column, Table
from astropy.table.meta import get_yaml_from_table

from sedflux.io.sed import DIAGNOSTICS
from sedflux.predict.flags import FLAGS

__all__ = ["LENGTH", "column_metadata", "unit_of"]

#: Start of the metadata keys from which astropy takes the lengths of texts in a column.
LENGTH = "table::len::"
#: Unit, description and UCD of columns.
_COLUMNS = {
    "identifier": ("", "name of the star", "meta.id;meta.main"),
    "path": ("", "file of the spectrum", "meta.id;meta.file"),
    "ra": ("deg", "right ascension, as in the header of the input", "pos.eq.ra;meta.main"),
    "dec": ("deg", "declination, as in the header of the input", "pos.eq.dec;meta.main"),
    "radial_velocity": ("km / s", "velocity that was taken out",
                        "spect.dopplerVeloc.opt"),
    "reddening": ("mag", "E(B-V) put on the SED", "phot.color.excess"),
    "reddening_error": ("mag", "standard deviation of reddening", "stat.error;phot.color.excess"),
    "magnitude": ("mag(AB)", "magnitude that fixes the scale", "phot.mag"),
    "magnitude_error": ("mag", "standard deviation of magnitude", "stat.error;phot.mag"),
    "band": ("", "band of magnitude", "meta.id;instr.bandpass"),
    "scale": ("erg / (s cm2 Angstrom)", "absolute flux where the stored flux is one",
              "arith.factor"),
    "posterior_reddening": ("mag", "E(B-V) by lines and magnitudes", "phot.color.excess"),
    "posterior_reddening_error": ("mag", "standard deviation of posterior_reddening",
                                  "stat.error;phot.color.excess"),
    "chi2": ("", "chi-square of the magnitudes, given the lines", "stat.fit.chi2"),
    "dof": ("", "degrees of freedom of chi2", "stat.fit.dof"),
    "p_value": ("", "probability of a larger chi2", "stat.probability"),
    "model": ("", "model that predicted the star", "meta.id"),
    "predicted": ("", "false where the spectrum could not be used", "meta.code"),
    "flag_bits": ("", "flags as a bit mask; 0 is none", "meta.code.qual"),
    "error": ("", "why there is no prediction", "meta.note"),
}
_COLUMNS |= DIAGNOSTICS
_COLUMNS |= {f"flag_{one.name}": ("", f"bit {one.bit} of flag_bits is set", "meta.code.qual")
             for one in FLAGS}
#: The same of columns that are named after a band.
_OF_BANDS = {
    "mag": ("mag(AB)", "synthetic magnitude in the band {}", "phot.mag"),
    "measured": ("mag(AB)", "measured magnitude in the band {}", "phot.mag"),
    "pull": ("", "magnitude in the band {} against lines and other bands, in sigma", "stat.fit")}
#: Types of VOTable by those of Arrow.
_TYPES = {"bool": "boolean", "int32": "int", "int64": "long", "float": "float",
          "double": "double", "string": "unicodeChar"}
_NAMESPACE = "http://www.ivoa.net/xml/VOTable/v1.3"


def _described(name):
    """Unit, description and UCD of a column; those of magnitudes are named after the band."""
    kind, _, band = name.partition("_")
    if name in _COLUMNS or kind not in _OF_BANDS or not band:
        return _COLUMNS.get(name, ("", "", ""))
    if kind != "pull" and name.endswith("_error"):
        return "mag", f"standard deviation of {name[:-len('_error')]}", "stat.error;phot.mag"
    unit, text, ucd = _OF_BANDS[kind]
    return unit, text.format(band), ucd


def unit_of(name: str) -> str:
    """Unit of a column, empty for none."""
    return _described(name)[0]


def column_metadata(schema: pyarrow.Schema) -> dict[str, str]:
    """
    Metadata of a Parquet file from which readers take units, descriptions and UCDs.

    Parameters
    ----------
    schema : `pyarrow.Schema`
        Of the table, with the lengths of its texts as metadata.

    Returns
    -------
    metadata : dict of str to str
    """
    return {"table_meta_yaml": _astropy_header(schema),
            "IVOA.VOTable-Parquet.version": "1.0",
            "IVOA.VOTable-Parquet.content": _votable(schema)}


def _astropy_header(schema):
    """The header that astropy writes for a table of these columns."""
    table = Table()
    for name in schema.names:
        unit, text, ucd = _described(name)
        table[name] = Column([], unit=unit or None, description=text or None,
                             meta={"ucd": ucd} if ucd else None,
                             dtype=schema.field(name).type.to_pandas_dtype())
    return "\n".join(get_yaml_from_table(table))


def _votable(schema):
    """A VOTable of these columns without data."""
    root = ElementTree.Element("VOTABLE", version="1.3", xmlns=_NAMESPACE)
    table = ElementTree.SubElement(ElementTree.SubElement(root, "RESOURCE"), "TABLE",
                                   name="sedflux")
    for name in schema.names:
        unit, text, ucd = _described(name)
        known = {"unit": _vounit(unit), "ucd": ucd}
        kind = _TYPES[str(schema.field(name).type)]
        if kind == "unicodeChar":
            longest = (schema.metadata or {}).get(f"{LENGTH}{name}".encode(), b"")
            known["arraysize"] = f"{longest.decode()}*"
        field = ElementTree.SubElement(table, "FIELD", name=name, datatype=kind,
                                       **{key: value for key, value in known.items() if value})
        if text:
            ElementTree.SubElement(field, "DESCRIPTION").text = text
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _vounit(unit):
    """A unit as the Virtual Observatory writes it; magnitudes of all systems are mag."""
    return "mag" if unit.startswith("mag") else unit and u.Unit(unit).to_string("cds")

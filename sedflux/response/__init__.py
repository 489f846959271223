"""Response curves: one throughput from many stars with uncertain SEDs."""

from sedflux.response import files as files  # registers the formats
from sedflux.response.common_errors import CommonErrors
from sedflux.response.curve import ResponseCurve
from sedflux.response.field_terms import FieldTerms
from sedflux.response.fit import fit_response, fit_responses

__all__ = ["CommonErrors", "FieldTerms", "ResponseCurve", "fit_response", "fit_responses"]

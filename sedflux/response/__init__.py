"""Response curves: fits of one throughput to the counts of many stars, and their use."""

from sedflux.response import files as files  # registers the formats
from sedflux.response.common_errors import CommonErrors
from sedflux.response.curve import ResponseCurve
from sedflux.response.field_terms import FieldTerms
from sedflux.response.fit import fit_response, fit_responses

__all__ = ["CommonErrors", "FieldTerms", "ResponseCurve", "fit_response", "fit_responses"]

"""Fits whose sums over blocks of stars are made on a Dask cluster."""

import logging

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sedflux import InputError, fit_response, fit_responses
from sedflux.response import solve
from sedflux.response.cluster import cluster_mapper

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def client():
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1,
                                  dashboard_address="127.0.0.1:0",
                                  silence_logs=logging.ERROR) as cluster, \
            distributed.Client(cluster) as found:
        yield found


def test_the_response_is_the_same(sky, bands, client, monkeypatch):
    # Six blocks of stars.
    monkeypatch.setattr(solve, "STARS_AT_A_TIME", 7)
    options = {"band": bands["GV"], "names": sky.names, "grey_error": 0.01, "wavelength_error": 0.5}
    called = []
    count = client.map
    monkeypatch.setattr(client, "map", lambda work, blocks, **more: called.append(len(blocks))
                        or count(work, blocks, **more))
    alone = fit_response(sky.counts["GV"], sky.seds, **options)
    assert not called
    apart = fit_response(sky.counts["GV"], sky.seds, client=client, **options)
    assert set(called) == {6}
    for name in ("throughput", "sigma"):
        assert_allclose(getattr(apart, name), getattr(alone, name), rtol=1e-10)
    assert_allclose(apart.problem.inverse, alone.problem.inverse, rtol=1e-10,
                    atol=1e-10 * np.abs(alone.problem.inverse).max())
    assert list(apart.stars["reason"]) == list(alone.stars["reason"])


def test_blocks_come_back_in_their_order(client):
    assert list(cluster_mapper(client)(np.sum, [np.full(3, k) for k in range(9)])) == [
        3 * k for k in range(9)]


def test_what_is_no_client_is_refused(sky, bands):
    with pytest.raises(InputError, match="client is a str; give a"):
        fit_responses({"GV": sky.counts["GV"]}, sky.seds, bands, client="tcp://head:8786")
